import EventLoop
import Testing

@testable import Postgres

@Suite("Connection settings")
struct SettingsTests {
    @Test(
        "no description shows a password or the value of an option",
        arguments: [
            "postgresql://otpd:hunter2@db1,db2:5433/otp?target_session_attrs=read-write",
            "host=db1,db2 port=5432,5433 dbname=otp user=otpd password=hunter2 sslpassword=hunter2",
        ])
    func redaction(_ conninfo: String) {
        let settings = ConnectionSettings(conninfo, sessionOptions: [("otp.secret", "s3cret")])
        var dumped = ""
        dump(settings, to: &dumped)
        for text in ["\(settings)", String(reflecting: settings), dumped] {
            #expect(!text.contains("hunter2") && !text.contains("s3cret"), "\(text)")
        }
        #expect("\(settings)".contains("db1,db2") && "\(settings)".contains("otp.secret"))
    }

    @Test(
        "a string that can't be read is refused without being repeated",
        arguments: [
            "postgresql://u:hunter2@[::1/db", "password=hunter2 hunter2",
            "postgresql://u:hunter2@h/db?nonsense=hunter2",
            "postgresql://u:hunter2%zz@h/db", "host=h password='hunter2",
            "a\"hunter2=x", "x \"hunter2 host=h", "é]hunter2\"x='hunter2",
        ])
    func unreadable(_ conninfo: String) {
        let settings = ConnectionSettings(conninfo)
        let error = #expect(throws: PostgresError.self) { try settings.validate() }
        #expect(!"\(String(describing: error))".contains("hunter2"))
        #expect(!"\(settings)".contains("hunter2"))
    }

    @Test("an option's name must be a name, its value has no NUL")
    func optionNames() {
        #expect(throws: PostgresError.self) {
            try ConnectionSettings(sessionOptions: [("a b", "x")]).validate()
        }
        #expect(throws: PostgresError.self) {
            try ConnectionSettings(sessionOptions: [("a", "\0")]).validate()
        }
    }

    @Test("options are escaped, and come behind those that were there")
    func options() {
        #expect(sessionOptions(nil, adding: []) == nil)
        #expect(sessionOptions("-c a=1", adding: []) == "-c a=1")
        #expect(sessionOptions("-c a=1", adding: [("b", "x y\\z")]) == "-c a=1 -c b=x\\ y\\\\z")
    }

    @Test("a password is struck out of messages")
    func strike() {
        #expect(redact("user u password pw1 pw1!", "pw1") == "user u password **** ****!")
        #expect(redact("as it was", "") == "as it was" && redact("as it was", nil) == "as it was")
    }

    @Test(
        "libpq's connect_timeout",
        arguments: [("0", nil), ("-1", nil), ("x", nil), ("1", 2), ("7", 7)] as [(String, Int64?)])
    func timeouts(_ value: String, _ seconds: Int64?) {
        #expect(connectTimeout(value) == seconds.map { .seconds($0) })
    }
}

@Suite("Connect plan")
struct ConnectPlanTests {
    @Test("hosts, addresses and ports go together as libpq has it")
    func hosts() throws {
        #expect(
            try ConnectPlan.hosts(["host": "a,b", "port": "1,2"])
                == [.init(host: "a", address: "", port: "1"), .init(host: "b", address: "", port: "2")])
        #expect(
            try ConnectPlan.hosts(["host": "a,b", "hostaddr": ",::1", "port": "7"])
                == [.init(host: "a", address: "", port: "7"), .init(host: "b", address: "::1", port: "7")])
        #expect(try ConnectPlan.hosts([:]) == [.init(host: "", address: "", port: "")])
        #expect(throws: PostgresError.self) { try ConnectPlan.hosts(["host": "a,b", "hostaddr": "::1"]) }
        #expect(throws: PostgresError.self) { try ConnectPlan.hosts(["host": "a,b,c", "port": "1,2"]) }
    }

    @Test(
        "only names are resolved",
        arguments: [
            ("db", "", "db"), ("db", "10.0.0.1", nil), ("/run/pg", "", nil), ("@abstract", "", nil), ("", "", nil),
            ("10.0.0.1", "", nil), ("::1", "", nil),
        ] as [(String, String, String?)])
    func names(_ host: String, _ address: String, _ name: String?) {
        #expect(ConnectPlan.Host(host: host, address: address, port: "").nameToResolve == name)
    }

    @Test("every address is tried in order, names that failed are told, prefer-standby goes round twice")
    func candidates() throws {
        let hosts = try ConnectPlan.hosts(["host": "a,b,/run", "port": "5"])
        let resolutions: [String: Resolution] = ["a": .addresses(["1.1.1.1", "::2"]), "b": .failed("no")]
        let plan = ConnectPlan.candidates(hosts, resolutions, sessionAttributes: nil)
        #expect(plan.candidates.map(\.address) == ["1.1.1.1", "::2", ""])
        #expect(plan.candidates.map(\.host) == ["a", "a", "/run"])
        #expect(plan.failures == [.init(target: "b:5", reason: "no")])
        let twice = ConnectPlan.candidates(hosts, resolutions, sessionAttributes: "prefer-standby")
        #expect(
            twice.candidates.map(\.sessionAttributes) == Array(repeating: "standby", count: 3) + ["any", "any", "any"])
    }
}

@Suite("Words of errors")
struct ErrorTests {
    @Test("a message that may quote a value, and the detail, are not printed")
    func values() {
        var error = ServerError(severity: "ERROR", sqlstate: "22P02", message: "invalid input: \"0501234567\"")
        error.detail = "Failing row contains (123456)"
        #expect(!"\(PostgresError.server(error))".contains("0501234567"))
        #expect(!"\(PostgresError.server(error))".contains("123456"))
        var other = ServerError(severity: "ERROR", sqlstate: "23505", message: "duplicate key")
        other.constraint = "jobs_pkey"
        #expect(
            "\(other)".contains("23505") && "\(other)".contains("jobs_pkey") && "\(other)".contains("duplicate key"))
    }

    @Test("each says what is known of the statement")
    func outcomes() {
        #expect("\(PostgresError.deadline(.unknown))".contains("may have taken effect"))
        #expect("\(PostgresError.deadline(.notSent))".contains("nothing was done"))
        let loss = Loss(reason: "gone", lastError: nil, outcome: .unknown)
        #expect("\(PostgresError.lost(loss))".contains("gone"))
    }

    @Test("PgBouncer refusing options is explained, the same failure at two addresses said once")
    func connect() {
        let words = "server \"x\" failed: FATAL: unsupported startup parameter: options"
        let attempt = ConnectFailure.Attempt(target: "x", reason: words, sqlstate: "08P01", stage: .login)
        let failure = ConnectFailure(attempts: [attempt, attempt])
        let text = "\(PostgresError.connect(failure))"
        #expect(text.contains("lead to PostgreSQL directly"))
        #expect(text.components("unsupported startup parameter") == 1)
    }

    @Test("addresses that were of no use come last, the one that failed longest ago first, for five minutes")
    func hostsOfNoUse() throws {
        let hosts = try ConnectPlan.hosts(["host": "10.0.0.1,10.0.0.2,10.0.0.3", "port": "5432"])
        let (candidates, _) = ConnectPlan.candidates(hosts, [:], sessionAttributes: nil)
        let (twice, _) = ConnectPlan.candidates(hosts, [:], sessionAttributes: "prefer-standby")
        let memory = HostMemory()
        let start = Instant(nanoseconds: 1_000_000_000)
        func order(at seconds: Int64, _ candidates: [ConnectPlan.Candidate]) -> String {
            ConnectPlan.order(candidates, by: memory, at: start + .seconds(seconds))
                .map { "\($0.host.suffix(1))\($0.sessionAttributes?.prefix(1) ?? "")" }.joined(separator: " ")
        }
        #expect(order(at: 0, candidates) == "1 2 3")
        memory.avoid(candidates[0].key, at: start)
        #expect(order(at: 0, candidates) == "2 3 1")
        #expect(order(at: 0, twice) == "2s 3s 2a 3a 1s 1a")
        // The others failed as well. The one that failed first may work again.
        memory.avoid(candidates[1].key, at: start + .seconds(10))
        memory.avoid(candidates[2].key, at: start + .seconds(20))
        #expect(order(at: 20, candidates) == "1 2 3")
        memory.avoid(candidates[0].key, at: start + .seconds(30))
        #expect(order(at: 30, candidates) == "2 3 1")
        #expect(order(at: 309, candidates) == "2 3 1")
        #expect(order(at: 310, candidates) == "2 3 1")
        #expect(order(at: 330, candidates) == "1 2 3")
        // The same name at another port is another server.
        let other = try ConnectPlan.hosts(["host": "10.0.0.1", "port": "5433"])
        memory.avoid(candidates[0].key, at: start)
        #expect(
            order(at: 1, ConnectPlan.candidates(other, [:], sessionAttributes: nil).candidates + candidates)
                == "1 2 3 1")
    }

    @Test(
        "the server's code is found in its text, whatever the language, and taken out of it",
        arguments: [
            (
                "at \"h\" (::1) failed: FATAL:  28P01: Passwort für »a« falsch\nLOCATION:  auth_failed, auth.c:338\n",
                "28P01",
                "at \"h\" (::1) failed: FATAL:  Passwort für »a« falsch"
            ),
            ("致命错误:  3D000: 数据库 \"x\" 不存在\nDETAIL:  12345, x", "3D000", "致命错误:  数据库 \"x\" 不存在; DETAIL:  12345, x"),
            ("FATAL:  28P01: one\nFATAL:  28000: no entry", "28P01", "FATAL:  one; FATAL:  no entry"),
            ("FATAL:  28000: SSL\nFATAL:  53300: full", "53300", "FATAL:  SSL; FATAL:  full"),
            ("FATAL:  57P03", "57P03", "FATAL:  "),
            ("Connection refused\n\tIs it running?", nil, "Connection refused; Is it running?"),
            ("FATAL:  the database system is starting up", nil, "FATAL:  the database system is starting up"),
            ("x:  28p01: y", nil, "x:  28p01: y"), ("x:  28P012: y", nil, "x:  28P012: y"), ("", nil, ""),
        ] as [(String, String?, String)])
    func codes(text: String, code: String?, words: String) {
        let refusal = RefusalText(text)
        #expect(refusal.sqlstate == code)
        #expect(refusal.message == trimmed(words))
    }

    @Test(
        "the cause is told by code, or by how far it came; of several addresses the one that tells most",
        arguments: [
            ([("28P01", .login)], .password), ([("28000", .login)], .login), ([("42501", .login)], .privilege),
            ([("3D000", .login)], .database), ([("53300", .login)], .full), ([("57P03", .login)], .notReady),
            ([("55000", .login)], .closed), ([("42704", .login)], .option), ([("22023", .login)], .option),
            ([("08P01", .login)], .proxy), ([("08006", .login)], .proxy), ([("XX000", .login)], .server),
            ([(nil, .login)], .server), ([(nil, .password)], .password), ([(nil, .tls)], .tls),
            ([(nil, .attributes)], .attributes), ([(nil, .network)], .network), ([], .network),
            ([(nil, .network), ("28P01", .login)], .password), ([("57P03", .login), (nil, .network)], .notReady),
        ] as [([(String?, ConnectFailure.Stage)], ConnectFailure.Cause)])
    func causes(attempts: [(String?, ConnectFailure.Stage)], cause: ConnectFailure.Cause) {
        let failure = ConnectFailure(
            attempts: attempts.map { .init(target: "t", reason: "does not exist", sqlstate: $0, stage: $1) })
        #expect(failure.cause == cause)
        #expect("\(PostgresError.connect(failure))".hasSuffix(cause.remedy))
    }

    @Test("the pause of a session doubles up to its cap, and is spread over all of it")
    func backoff() {
        let backoff = Session.backoff
        #expect(backoff.delay(after: 1, random: 1) == .milliseconds(500))
        #expect(backoff.delay(after: 3, random: 1) == .seconds(1))
        #expect(backoff.delay(after: 3, random: 0.5) == .milliseconds(500))
        #expect(backoff.delay(after: 1000, random: 1) == .seconds(1))
        #expect(backoff.delay(after: 1000, random: 0) == .seconds(0))
    }

    @Test(
        "what a SQLSTATE says about trying again",
        arguments: [
            ("40001", .conflict), ("40P01", .conflict), ("55P03", .locked), ("55000", .unavailable),
            ("08006", .unavailable), ("25006", .unavailable), ("53100", .unavailable), ("57P01", .unavailable),
            ("57014", .other), ("58030", .unavailable), ("42501", .misconfigured), ("42P01", .misconfigured),
            ("3F000", .misconfigured), ("22P02", .invalidValue), ("23505", .invalidValue), ("OT007", .invalidValue),
            ("P0001", .other), ("XX000", .other), ("54000", .other), ("", .other),
        ] as [(String, ServerError.Kind)])
    func kinds(sqlstate: String, kind: ServerError.Kind) {
        #expect(ServerError(severity: "ERROR", sqlstate: sqlstate, message: "no").kind == kind)
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(_ part: String) -> Int { ranges(of: part).count }
}
