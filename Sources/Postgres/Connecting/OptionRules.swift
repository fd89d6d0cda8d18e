internal import CLibpq

/// A variable whose value libpq would refuse.
public struct InvalidOption: Error, Equatable, Sendable {
    /// `DATABASE_URL`, or one of libpq's own variables such as `PGSSLMODE`.
    public var variable: String
    /// The rest of a text that begins with the variable's name. Quotes no value, because it may be a misplaced
    /// password.
    public var reason: String
}

/// Finds, without connecting, the values that libpq would refuse when it connects.
///
/// libpq reports them one by one, at each attempt, as a failed connection. A daemon would retry for ever.
struct OptionRules {
    /// Each option's value, and the variable that sets it.
    var values: [String: (value: String, variable: String)]

    /// Options whose value must be one of a few words, in libpq's spelling. Options that this libpq does not know are
    /// left out.
    private static let choices: [(keyword: String, words: [String])] = [
        ("sslmode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
        ("target_session_attrs", ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]),
        ("channel_binding", ["disable", "prefer", "require"]),
        ("gssencmode", ["disable", "prefer", "require"]),
        ("load_balance_hosts", ["disable", "random"]),
        ("sslcertmode", ["disable", "allow", "require"]),
    ]
    private static let protocols = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    private static let integers = [
        "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
        "tcp_user_timeout",
    ]

    /// All problems, in a fixed order. `isMissing` says why a file can't be read; nil if it can be read.
    func problems(isMissing: (_ path: String) -> String? = { _ in nil }, home: String? = nil) -> [InvalidOption] {
        var problems: [InvalidOption] = []
        func add(_ keyword: String, _ what: String, _ remedy: String) {
            guard let variable = values[keyword]?.variable else { return }
            let verb = variable == ConninfoOptions.variable ? "sets \(keyword) to" : "is"
            problems.append(InvalidOption(variable: variable, reason: "\(verb) \(what). \(remedy)"))
        }
        for keyword in values.keys.sorted() where isSwallowed(keyword) {
            add(keyword, "nothing but the next option", "Write a value after \(keyword)=, or leave it out.")
        }
        for host in list("host") where !Self.isHost(host) {
            add(
                "host", "an invalid host name",
                "Write names, addresses or a socket's directory. " + encoding("host"))
            break
        }
        for address in list("hostaddr") where !address.isEmpty && !isNumeric(address) {
            add("hostaddr", "an invalid numeric address", "Write one such as 10.0.0.1, or use host.")
            break
        }
        for port in list("port") where !Self.isPort(port) {
            add("port", "an invalid port", "Write numbers from 1 to 65535. " + encoding("port"))
            break
        }
        if let dbname = text("dbname"), dbname.contains("://") || isOfVariable("dbname") && dbname.contains("@") {
            add("dbname", "an address instead of a database's name", "Write the name alone, or set DATABASE_URL.")
        }
        if let user = text("user"), user.contains(":") {
            add("user", "a name with a colon", "Write the user and the password separately.")
        }
        problems += counts
        for (keyword, words) in Self.choices {
            // If it comes from a variable, an empty value is a value too, and libpq refuses it.
            guard let value = values[keyword]?.value, !words.contains(value) else { continue }
            let meant = words.first { $0 == value.lowercased() }
            add(
                keyword, value.isEmpty ? "nothing" : "a word that libpq does not know",
                meant.map { "Write \($0) in lower case." } ?? "Write one of \(words.joined(separator: ", ")).")
        }
        let versions = ["ssl_min_protocol_version", "ssl_max_protocol_version"].map { keyword in
            let value = text(keyword)
            let index = Self.protocols.firstIndex { $0.lowercased() == value?.lowercased() }
            if value != nil, index == nil {
                add(keyword, "an unknown version of TLS", "Write one of \(Self.protocols.joined(separator: ", ")).")
            }
            return index
        }
        if let least = versions[0], let most = versions[1], least > most {
            add("ssl_min_protocol_version", "a newer version than the newest allowed", "Write an older one.")
        }
        for keyword in Self.integers {
            guard let value = text(keyword), !Self.isInteger(value) else { continue }
            add(keyword, "something other than a whole number", "Write a number such as 10.")
        }
        return problems + files(isMissing: isMissing, home: home)
    }

    // MARK: Parts

    /// The value, or nil if it is missing or empty, as libpq treats it.
    private func text(_ keyword: String) -> String? {
        guard let value = values[keyword]?.value, !value.isEmpty else { return nil }
        return value
    }

    private func list(_ keyword: String) -> [String] {
        text(keyword)?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    }

    private func isOfVariable(_ keyword: String) -> Bool { values[keyword]?.variable != ConninfoOptions.variable }

    /// The remedy for a value that may be a part of a password.
    private func encoding(_ keyword: String) -> String {
        isOfVariable(keyword) ? "Set a password in PGPASSWORD." : AddressForm.encoding
    }

    /// In `host= password=x`, libpq reads `password=x` as the host.
    private func isSwallowed(_ keyword: String) -> Bool {
        guard let value = text(keyword), !ConninfoOptions.secrets.contains(keyword), keyword != "options",
            let equals = value.firstIndex(of: "=")
        else { return false }
        return ConninfoOptions.keywords[String(value[..<equals])] != nil
    }

    /// There must be equally many hosts, addresses and ports, wherever they come from.
    private var counts: [InvalidOption] {
        do throws(PostgresError) {
            _ = try ConnectPlan.hosts(values.mapValues(\.value))
            return []
        } catch {
            let variables = ["host", "hostaddr", "port"].compactMap { values[$0]?.variable }
            guard case .settings(let reason) = error, let variable = variables.last else { return [] }
            return [InvalidOption(variable: variable, reason: "does not fit: \(reason)")]
        }
    }

    private static func isHost(_ host: String) -> Bool {
        if host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@") || isNumeric(host) { return true }
        // A link-local address carries its interface: fe80::1%eth0.
        if let percent = host.firstIndex(of: "%"), isNumeric(String(host[..<percent])) { return true }
        return host.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0)
        }
    }

    private static func isPort(_ port: String) -> Bool {
        // libpq allows white space around numbers.
        let port = port.drop { $0 == " " }
        return port.isEmpty || Int(port).map { (1...65535).contains($0) } ?? false
    }

    private static func isInteger(_ value: String) -> Bool { Int32(value.filter { $0 != " " }) != nil }

    /// The files for TLS. Without them libpq would fail at each attempt.
    private func files(isMissing: (String) -> String?, home: String?) -> [InvalidOption] {
        let hosts = list("host") + list("hostaddr")
        let mode = text("sslmode") ?? "prefer"
        guard mode != "disable", hosts.contains(where: { !$0.isEmpty && !$0.hasPrefix("/") && !$0.hasPrefix("@") })
        else { return [] }
        var problems: [InvalidOption] = []
        func check(_ keyword: String) {
            guard let (path, variable) = values[keyword], !path.isEmpty, let reason = isMissing(path) else { return }
            let verb = variable == ConninfoOptions.variable ? "sets \(keyword) to" : "names"
            problems.append(
                InvalidOption(
                    variable: variable,
                    reason: "\(verb) an unreadable file (\(reason)). Correct its path or its mode."))
        }
        let isSystems = text("sslrootcert") == "system" && PQlibVersion() >= 160_000
        if mode.hasPrefix("verify-"), !isSystems {
            if text("sslrootcert") != nil {
                check("sslrootcert")
            } else if let home, !home.isEmpty, isMissing(home + "/.postgresql/root.crt") != nil {
                problems.append(
                    InvalidOption(
                        variable: values["sslmode"]?.variable ?? ConninfoOptions.variable,
                        reason: "asks for sslmode=\(mode), which needs the certificates to trust. Set sslrootcert or "
                            + "PGSSLROOTCERT to a PEM file."))
            }
        }
        // libpq needs the key only with a certificate. A key may be in an engine: `engine:key`.
        if text("sslcert") != nil {
            check("sslcert")
            if let key = text("sslkey"), !key.contains(":") { check("sslkey") }
        }
        return problems
    }
}
