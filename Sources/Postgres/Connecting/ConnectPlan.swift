internal import EventLoop

/// Where to try, one after the other: every address of every host, as libpq would go through them.
///
/// One `PGconn` per address and not one for all, since libpq's `connect_timeout` moves on to the next host only in its
/// blocking calls.
struct ConnectPlan: Equatable {
    /// One host as the settings name it.
    struct Host: Equatable {
        /// A name, an address, a directory of sockets, or empty for libpq's default.
        var host: String
        /// A numeric address given apart from the host; then nothing is to be resolved.
        var address: String
        var port: String

        /// The name to ask the resolver for; nil when there is nothing to ask.
        var nameToResolve: String? {
            guard address.isEmpty, !host.isEmpty, !host.hasPrefix("/"), !host.hasPrefix("@"), !isNumeric(host) else {
                return nil
            }
            return host
        }

        var target: String {
            let shown = host.isEmpty ? (address.isEmpty ? "the local socket" : address) : host
            return port.isEmpty ? shown : "\(shown):\(port)"
        }
    }

    /// One address to try.
    struct Candidate: Equatable {
        var host: String
        var address: String
        var port: String
        var target: String
        /// Overrides `target_session_attrs`.
        var sessionAttributes: String?

        var key: HostMemory.Address { HostMemory.Address(host: host, address: address, port: port) }
    }

    /// Splits libpq's comma-separated lists.
    ///
    /// - Throws: `.settings` when the lists don't match each other.
    static func hosts(_ values: [String: String]) throws(PostgresError) -> [Host] {
        func list(_ key: String) -> [String] {
            guard let value = values[key], !value.isEmpty else { return [] }
            return value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
        let count = max(names.count, addresses.count, 1)
        guard names.isEmpty || addresses.isEmpty || names.count == addresses.count else {
            throw .settings("there are \(names.count) hosts and \(addresses.count) hostaddr values: give equally many")
        }
        guard ports.count <= 1 || ports.count == count else {
            throw .settings("there are \(ports.count) ports for \(count) hosts: give one, or as many as hosts")
        }
        return (0..<count).map { index in
            Host(
                host: names.isEmpty ? "" : names[index], address: addresses.isEmpty ? "" : addresses[index],
                port: ports.isEmpty ? "" : ports[ports.count == 1 ? 0 : index])
        }
    }

    /// `candidates` in the order to try them: first those that nothing speaks against, in their own order; then the others,
    /// the one that failed longest ago first.
    static func order(_ candidates: [Candidate], by memory: HostMemory, at now: Instant) -> [Candidate] {
        let avoided = memory.avoided(at: now)
        guard !avoided.isEmpty else { return candidates }
        let first = candidates.filter { avoided[$0.key] == nil }
        let rest = candidates.enumerated().compactMap { place, candidate in
            avoided[candidate.key].map { (failedAt: $0, place: place, candidate: candidate) }
        }
        return first + rest.sorted { ($0.failedAt, $0.place) < ($1.failedAt, $1.place) }.map(\.candidate)
    }

    /// The addresses to try, and what failed before the first attempt.
    static func candidates(
        _ hosts: [Host], _ resolutions: [String: Resolution], sessionAttributes: String?
    ) -> (candidates: [Candidate], failures: [ConnectFailure.Attempt]) {
        var candidates: [Candidate] = []
        var failures: [ConnectFailure.Attempt] = []
        for host in hosts {
            func add(_ address: String) {
                let shown = host.nameToResolve == nil ? host.target : "\(host.target) (\(address))"
                candidates.append(Candidate(host: host.host, address: address, port: host.port, target: shown))
            }
            guard let name = host.nameToResolve else {
                add(host.address)
                continue
            }
            switch resolutions[name] ?? .failed("the name was not looked up") {
            case .addresses(let addresses): for address in addresses { add(address) }
            case .failed(let reason): failures.append(.init(target: host.target, reason: reason))
            }
        }
        // libpq goes through the list twice for this one: standbys first, then whatever there is.
        if sessionAttributes == "prefer-standby" {
            candidates = ["standby", "any"].flatMap { attributes in
                candidates.map { candidate in
                    var candidate = candidate
                    candidate.sessionAttributes = attributes
                    return candidate
                }
            }
        }
        return (candidates, failures)
    }
}
