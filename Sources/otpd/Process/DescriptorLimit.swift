internal import Glibc

/// How many files and sockets this process may have open: `RLIMIT_NOFILE`.
struct DescriptorLimit: Equatable, Sendable {
    var soft: Int
    var hard: Int

    /// Raises the soft limit to the hard limit, as daemons do. The usual soft limit protects programs that call
    /// `select`, and neither otpd nor its libraries do.
    static func raise() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
            limit.rlim_cur < limit.rlim_max
        else { return }
        limit.rlim_cur = limit.rlim_max
        // If the kernel refuses, the limit stays as it is, and `current` returns it.
        unsafe _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// The limit in force. Nil where it cannot be read.
    static func current() -> DescriptorLimit? {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return DescriptorLimit(soft: Int(clamping: limit.rlim_cur), hard: Int(clamping: limit.rlim_max))
    }
}

/// How many requests at a time the limit on open files allows a worker. Pure.
struct DescriptorPlan: Equatable, Sendable {
    /// The database sessions, the event loop, the log, and short uses such as a name lookup or a file.
    static let base = 24
    /// A request's connection, and the sockets that look up its host's name.
    static let perRequest = 3
    /// The descriptors of a server (callbacks, dashboard) besides its connections.
    static let perServer = 10
    /// A server's connections. If the limit is low, a server takes at most a quarter of it.
    static let connectionsPerServer = 256

    /// `OTPD_MAX_IN_FLIGHT`.
    let wanted: Int
    /// How many requests at a time the limit allows: at least 1, at most `wanted`.
    let window: Int
    let limit: Int
    /// The limit that `wanted` requests at a time need.
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

    /// The text for the status row and the log. Nil where the limit is high enough.
    var note: String? {
        isShort
            ? "the limit on open files (RLIMIT_NOFILE) is \(limit): otpd sends at most \(window) requests at a time, "
                + "instead of \(wanted)"
            : nil
    }

    var remedy: String {
        "Raise the limit to \(needed) or more (LimitNOFILE= of the unit, ulimit -n), or lower OTPD_MAX_IN_FLIGHT."
    }
}
