internal import EventLoop

/// The addresses to try, one after the other: every address of every host, in libpq's order.
///
/// Each address gets a `PGconn` of its own, because libpq applies `connect_timeout` to each host only in its blocking
/// calls.
struct ConnectPlan: Equatable {
    /// One host of the settings.
    struct Host: Equatable {
        /// A name, an address, a directory of sockets, or empty for libpq's default.
        var host: String
        /// A numeric address given separately from the host. Then no name is resolved.
        var address: String
        var port: String

        /// The name to resolve; nil if there is none.
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
    /// - Throws: `.settings` if the lists do not match each other.
    static func hosts(_ values: [String: String]) throws(PostgresError) -> [Host] {
        func list(_ key: String) -> [String] {
            guard let value = values[key], !value.isEmpty else { return [] }
            return value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
        let count = max(names.count, addresses.count, 1)
        guard names.isEmpty || addresses.isEmpty || names.count == addresses.count else {
            throw .settings("there are \(names.count) hosts and \(addresses.count) hostaddr values. Give equally many.")
        }
        guard ports.count <= 1 || ports.count == count else {
            throw .settings("there are \(ports.count) ports for \(count) hosts. Give one port, or one for each host.")
        }
        return (0..<count).map { index in
            Host(
                host: names.isEmpty ? "" : names[index], address: addresses.isEmpty ? "" : addresses[index],
                port: ports.isEmpty ? "" : ports[ports.count == 1 ? 0 : index])
        }
    }

    /// `candidates` in the order to try them. First those without a recent failure, in their own order. Then the
    /// others, beginning with the one that failed longest ago.
    static func order(_ candidates: [Candidate], by memory: HostMemory, at now: Instant) -> [Candidate] {
        let avoided = memory.avoided(at: now)
        guard !avoided.isEmpty else { return candidates }
        let first = candidates.filter { avoided[$0.key] == nil }
        let rest = candidates.enumerated().compactMap { place, candidate in
            avoided[candidate.key].map { (failedAt: $0, place: place, candidate: candidate) }
        }
        return first + rest.sorted { ($0.failedAt, $0.place) < ($1.failedAt, $1.place) }.map(\.candidate)
    }

    /// The addresses to try, and the failures before the first attempt.
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
        // For this value libpq goes through the list twice: first for standbys, then for any server.
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
