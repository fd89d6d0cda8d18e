internal import Glibc

/// How many files, sockets among them, this process may have open: `RLIMIT_NOFILE`.
struct DescriptorLimit: Equatable, Sendable {
    var soft: Int
    var hard: Int

    /// Raises the soft limit to the hard one, as daemons do: the usual soft limit is for programs that call `select`.
    /// otpd and its libraries do not.
    static func raise() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
            limit.rlim_cur < limit.rlim_max
        else { return }
        limit.rlim_cur = limit.rlim_max
        // Where that is refused the limit stays, and is what `current` says.
        unsafe _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// The limit in force; nil where it cannot be read.
    static func current() -> DescriptorLimit? {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return DescriptorLimit(soft: Int(clamping: limit.rlim_cur), hard: Int(clamping: limit.rlim_max))
    }
}

/// What a worker needs of the limit on open files, and what it does with less. Pure.
struct DescriptorPlan: Equatable, Sendable {
    /// The sessions of the database, the loop, the log, and what is open for a moment: a name lookup, a file.
    static let base = 24
    /// A request's connection; and while its host's name is looked up, the lookup's sockets.
    static let perRequest = 3
    /// What a server (callbacks, dashboard) has besides its connections.
    static let perServer = 10
    /// A server's connections; with a low limit, a quarter of it.
    static let connectionsPerServer = 256

    /// `OTPD_MAX_IN_FLIGHT`.
    let wanted: Int
    /// What there are descriptors for: at least 1, at most `wanted`.
    let window: Int
    let limit: Int
    /// The limit that `wanted` needs.
    let needed: Int

    init(limit: Int, wanted: Int, servers: Int) {
        self.limit = limit
        self.wanted = wanted
        needed = Self.base + Self.perRequest * wanted + servers * (Self.perServer + Self.connectionsPerServer)
        let forServers = servers * (Self.perServer + min(Self.connectionsPerServer, limit / 4))
        let room = (limit - Self.base - forServers) / Self.perRequest
        window = limit >= needed ? wanted : min(wanted, max(1, room))
    }

    var isShort: Bool { window < wanted }

    /// For the status row and the log; nil where nothing is short.
    var note: String? {
        isShort
            ? "at most \(window) requests at a time instead of \(wanted): the limit on open files (RLIMIT_NOFILE) is \(limit)"
            : nil
    }

    var remedy: String {
        "Raise the limit to \(needed) or more (LimitNOFILE= of the unit, ulimit -n), or lower OTPD_MAX_IN_FLIGHT."
    }
}
