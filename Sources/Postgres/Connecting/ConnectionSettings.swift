public import EventLoop

/// How to reach the database, and what every session is told at its start.
///
/// What is not said here comes from libpq's own places: PG* variables, the service file, the password file, defaults.
public struct ConnectionSettings: Sendable, CustomStringConvertible, CustomReflectable {
    /// A URL or a list of `key=value` as libpq takes them, several hosts and `target_session_attrs` included; empty:
    /// the environment alone. Holds a password, and so never appears in any description.
    public var conninfo: String
    /// What `pg_stat_activity` shows, unless `conninfo` or PGAPPNAME says otherwise.
    public var applicationName: String
    /// The time for each address, name lookups apart; `connect_timeout` in `conninfo` wins.
    public var connectTimeout: Instant.Duration
    /// Settings of each session, sent as `-c name=value` behind the options of `conninfo` or PGOPTIONS: out of reach of
    /// logged statements and of `pg_stat_activity`. Never printed.
    public var sessionOptions: [(name: String, value: String)]
    /// TCP: seconds of silence before the first keepalive probe, between probes, and the probes until the end.
    public var keepalives = (idle: 30, interval: 10, count: 3)
    /// TCP: how long sent data may stay unacknowledged before the connection counts as dead.
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

    /// Hosts, ports, user and database, and the names of the session's options; no password, no option's value.
    public var description: String {
        switch Result(catching: { () throws(PostgresError) in try Conninfo(conninfo) }) {
        case .success(let parsed):
            let options = sessionOptions.map(\.name).joined(separator: ",")
            return parsed.description + (options.isEmpty ? "" : " options=\(options)")
        case .failure(let error): return error.description
        }
    }

    /// So that `dump` and string interpolation of a containing value show no more than `description`.
    public var customMirror: Mirror { Mirror(self, children: ["database": description]) }

    /// Whether libpq can read `conninfo` and this module can use it.
    ///
    /// - Throws: `.settings`, with what is wrong and no part of the string that could be a password.
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
            guard isName else { throw .settings("a session option has no proper name") }
            guard !option.value.utf8.contains(0) else { throw .settings("the option \(option.name) contains a NUL") }
        }
    }
}

extension ConnectionSettings {
    /// Every value of `conninfo` and of the PG* variables in `environment` that libpq would refuse, found without
    /// connecting. A variable that `conninfo` overrides is not looked at, as libpq does not.
    ///
    /// - Parameter isMissing: why a file can't be read; nil where it can.
    public static func problems(
        _ conninfo: String, environment: [String: String], isMissing: (_ path: String) -> String? = { _ in nil }
    ) -> [InvalidOption] {
        let said: [String: String]
        do throws(InvalidOption) { said = try Conninfo.parse(conninfo) } catch { return [error] }
        var values: [String: (value: String, variable: String)] = [:]
        // A service file's values stand above the variables; they are libpq's to read.
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
