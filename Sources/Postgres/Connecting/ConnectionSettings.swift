public import EventLoop

/// How to reach the database, and the settings of every session.
///
/// Everything else comes from libpq's own sources: PG* variables, the service file, the password file, its defaults.
public struct ConnectionSettings: Sendable, CustomStringConvertible, CustomReflectable {
    /// A URL or a list of `key=value` as libpq takes them, several hosts and `target_session_attrs` included. If empty,
    /// the environment alone decides. Holds a password, so no description shows it.
    public var conninfo: String
    /// The name in `pg_stat_activity`, unless `conninfo` or PGAPPNAME gives another.
    public var applicationName: String
    /// The time for each address, without name lookups. `connect_timeout` in `conninfo` takes precedence.
    public var connectTimeout: Instant.Duration
    /// Settings of each session, sent as `-c name=value` after the options of `conninfo` or PGOPTIONS. So they appear
    /// neither in logged statements nor in `pg_stat_activity`. Never printed.
    public var sessionOptions: [(name: String, value: String)]
    /// TCP: seconds of silence before the first keepalive probe, seconds between probes, and the number of probes.
    public var keepalives = (idle: 30, interval: 10, count: 3)
    /// TCP: how long sent data may stay unacknowledged before the connection counts as lost.
    public var tcpUserTimeout = Instant.Duration.seconds(30)
    /// How long a canceled statement may take to answer before its connection is dropped.
    public var cancelGrace = Instant.Duration.seconds(5)

    /// Settings for `conninfo`.
    public init(
        _ conninfo: String = "", applicationName: String = "otpd", connectTimeout: Instant.Duration = .seconds(5),
        sessionOptions: [(name: String, value: String)] = []
    ) {
        self.conninfo = conninfo
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
        self.sessionOptions = sessionOptions
    }

    /// Hosts, ports, user and database, and the names of the session's options. Holds no password and no option's
    /// value.
    public var description: String {
        switch Result(catching: { () throws(PostgresError) in try Conninfo(conninfo) }) {
        case .success(let parsed):
            let options = sessionOptions.map(\.name).joined(separator: ",")
            return parsed.description + (options.isEmpty ? "" : " options=\(options)")
        case .failure(let error): return error.description
        }
    }

    /// Keeps `dump` and string interpolation of a containing value from showing more than `description`.
    public var customMirror: Mirror { Mirror(self, children: ["database": description]) }

    /// Checks that libpq can read `conninfo` and that this module can use it.
    ///
    /// - Throws: `.settings` with the reason, without any part of the string that could be a password.
    public func validate() throws(PostgresError) {
        _ = try Conninfo(conninfo)
        for option in sessionOptions {
            let isName =
                !option.name.isEmpty
                && option.name.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
                        true
                    default: false
                    }
                }
            guard isName else { throw .settings("a session option has an invalid name") }
            guard !option.value.utf8.contains(0) else { throw .settings("the option \(option.name) contains a NUL") }
        }
    }
}

extension ConnectionSettings {
    /// Every value of `conninfo` and of the PG* variables in `environment` that libpq would refuse, found without
    /// connecting. Skips a variable that `conninfo` overrides, as libpq does.
    ///
    /// - Parameter isMissing: why a file can't be read; nil if it can be read.
    public static func problems(
        _ conninfo: String, environment: [String: String], isMissing: (_ path: String) -> String? = { _ in nil }
    ) -> [InvalidOption] {
        let said: [String: String]
        do throws(InvalidOption) { said = try Conninfo.parse(conninfo) } catch { return [error] }
        var values: [String: (value: String, variable: String)] = [:]
        // A service file's values override the variables, and only libpq reads that file.
        if (environment["PGSERVICE"] ?? "").isEmpty {
            for (keyword, variable) in ConninfoOptions.keywords {
                guard let variable, let value = environment[variable] else { continue }
                values[keyword] = (value, variable)
            }
        }
        for (keyword, value) in said where !value.isEmpty { values[keyword] = (value, ConninfoOptions.variable) }
        return OptionRules(values: values).problems(isMissing: isMissing, home: environment["HOME"])
    }
}
