import ArgumentParser
import FoundationEssentials
import Queue
import Testing
import Twilio

@testable import HTTP
@testable import OTP
@testable import Postgres
@testable import otpd

/// Rules that every text for users keeps: short sentences, plain words, and one mark at the end of each sentence.
@Suite struct WordingTests {
    @Test func findingsAndRemedies() throws {
        let findings = try Self.findings
        #expect(findings.count > 150)
        for finding in findings {
            Self.check(finding.found, "\(finding.id)")
            if finding.found.last == "." || finding.found.contains(/[a-z)]\. [A-Z]/) {
                #expect(Self.begins(finding.found), "\(finding.id): \(finding.found)")
            }
            guard let remedy = finding.remedy else { continue }
            Self.check(remedy, "\(finding.id)")
            #expect(Self.begins(remedy), "\(finding.id): \(remedy)")
        }
    }

    @Test func helpOfEveryCommand() throws {
        struct Help: Decodable {
            struct Argument: Decodable {
                var abstract: String?
                var discussion: String?
            }
            var commandName: String
            var abstract: String?
            var discussion: String?
            var arguments: [Argument]?
            var subcommands: [Help]?

            var texts: [(String, String)] {
                let all = [self.abstract, discussion] + (arguments ?? []).flatMap { [$0.abstract, $0.discussion] }
                return all.compactMap { $0.map { (commandName, $0) } }
                    + (subcommands ?? []).filter { $0.commandName != "help" }.flatMap(\.texts)
            }
        }
        struct Dump: Decodable { var command: Help }
        let texts = try JSONDecoder().decode(Dump.self, from: Data(Otpd._dumpHelp().utf8)).command.texts
        #expect(texts.count > 60)
        for (command, text) in texts {
            Self.check(text, command)
            // Indented lines are examples.
            let first = text.split(separator: "\n").first { !$0.hasPrefix("  ") }
            guard let first else { continue }
            // A help text may begin with one of the option's values: `env: …`.
            #expect(Self.begins(String(first)) || first.contains(#/^[a-z]+: /#), "\(command): \(first)")
        }
    }

    @Test func settings() {
        for setting in SettingReference.all {
            for text in [setting.summary, setting.details].compactMap({ $0 }) { Self.check(text, "\(setting.name)") }
        }
        for section in SettingReference.Section.allCases { Self.check(section.introduction ?? "", section.rawValue) }
        for (name, values) in SettingValues.bad.map({ ($0.0, [$0.1]) }) {
            for problem in values.flatMap({ Fixture.problems([name: $0]) }) { Self.check(problem, name) }
        }
    }

    /// The words of libpq may end with a question.
    @Test func anErrorOfLibpqIsJoinedWithOneMark() {
        let reason = "connection refused; Is the server accepting connections?"
        let error = PostgresError.connect(ConnectFailure(attempts: [.init(target: "db:5432", reason: reason)]))
        let line = Failure(.unavailable, "cannot reach the database", because: "\(error)").description
        Self.check(line, "failure")
        #expect(line.contains("connections? Check"))
        #expect(Failure(.unavailable, "a", because: reason, remedy: "Start it").description.hasSuffix("s? Start it."))
    }

    // MARK: The rules

    private static func check(_ text: String, _ place: String) {
        #expect(!text.lowercased().contains(/\b(whoever|nobody|anew)\b/), "\(place): \(text)")
        #expect(!text.contains("?.") && !text.contains(".."), "\(place): \(text)")
        for sentence in prose(text).split(separator: /[.?!] |\n/) {
            let count = sentence.split(whereSeparator: \.isWhitespace).count { $0.contains(where: \.isLetter) }
            #expect(count <= 35, "\(place): \(count) words: \(sentence)")
        }
    }

    /// The text without statements of SQL.
    private static func prose(_ text: String) -> String {
        text.replacing(/\b(ALTER|CREATE|GRANT|INSERT|REVOKE|SELECT|UPDATE)\b[^;]*;/, with: "")
    }

    private static func begins(_ text: String) -> Bool {
        text.first.map { !$0.isLowercase } ?? false || Sentence.beginsWithCode(text)
    }

    // MARK: Every finding

    private static var findings: [Finding] {
        get throws {
            try database + rolesAndLogs + server + providers + twilio + callback + files
        }
    }

    private static let refusal = ServerError(severity: "ERROR", sqlstate: "42501", message: "permission denied")

    private static var database: [Finding] {
        let errors: [PostgresError] = [
            .settings("the port is no number"), .server(refusal), .deadline(.unknown), .canceled(.notSent),
            .unsuitable("the function otp.claim is missing"), .misuse("a query without a result"),
            .server(.init(severity: "ERROR", sqlstate: "42P01", message: "relation does not exist")),
            .server(.init(severity: "ERROR", sqlstate: "XX000", message: "internal error")),
            .lost(.init(reason: "server closed the connection", lastError: nil, outcome: .unknown)),
        ]
        let states = ["28P01", "28000", "42501", "3D000", "55000", "08P01", "22023", "53300", "57P03", "58000", nil]
        var stages = states.map {
            ConnectFailure.Attempt(
                target: "db:5432", reason: "unsupported startup parameter: options", sqlstate: $0)
        }
        stages.append(.init(target: "db", reason: "no", stage: .tls))
        stages.append(.init(target: "db", reason: "no", stage: .attributes))
        let connect = stages.map { PostgresError.connect(ConnectFailure(attempts: [$0])) }
        let check = ServerChecks.connection
        var findings = [ServerChecks.connection(nil, target: "db:5432")]
        findings += (errors + connect).map { ServerChecks.connection($0, target: "db:5432") }
        findings += errors.map { check.unread($0) }
        findings += errors.map { check.unread($0, isExplained: true) }
        findings += DatabaseFindings.skipped(SettingsChecks.unusable("DATABASE_URL"))
        findings += DatabaseFindings(
            readings: .init(target: "db"), ownKeys: nil, appName: nil, version: "0.1.0", hostZone: nil
        ).all()
        return findings
    }

    private static var rolesAndLogs: [Finding] {
        let role = WellServer.role
        let with = { (change: (inout ReadRole.Role) -> Void) in WellServer.with(role, change) }
        let logs: [ReadConcealment.Concealment] = [(true, true), (true, false), (false, true), (false, false)].map {
            (isOn, ownerMay) in WellServer.with(WellServer.concealment) { ($0.isOn, $0.ownerMay) = (isOn, ownerMay) }
        }
        let all = WellServer.with(WellServer.concealment) { $0.logStatement = "all" }
        let onError = WellServer.with(WellServer.concealment) { $0.parameterLengthOnError = -1 }
        let values: KeyValuePairs = [
            "session_replication_role": "replica", "default_transaction_read_only": "on", "statement_timeout": "10ms",
            "restrict_nonsystem_relation_kind": "view", "otp.secret": "x", "synchronous_commit": "off",
        ]
        let stored = values.map {
            ReadStoredSettings.Entry(role: "web", database: nil, name: $0.key, value: $0.value, isWebTier: true)
        }
        let owner = { (name: String, isSuperuser: Bool, attributes: [String]) in
            ReadOwner.Owner(
                name: name, isSuperuser: isSuperuser, canLogIn: false, attributes: attributes,
                hasMembershipOptions: true)
        }
        let findings: [Finding] = [
            RoleChecks.roles(role), RoleChecks.roles(with { $0.missing = ["otp_web"] }), RoleChecks.login(role),
            RoleChecks.login(with { $0.isSuperuser = true }),
            RoleChecks.login(with { ($0.isSuperuser, $0.name) = (true, "postgres") }),
            RoleChecks.login(with { ($0.isWorker, $0.isMember) = (false, false) }),
            RoleChecks.login(with { $0.isWorker = false }), RoleChecks.login(with { $0.dangerous = ["otp_owner"] }),
            RoleChecks.grants([]), RoleChecks.grants(WorkerGrant.all + WorkerGrant.web),
            IntegrityChecks.owner(nil), IntegrityChecks.owner(owner("otp_owner", false, [])),
            IntegrityChecks.owner(owner("otp_owner", true, [])), IntegrityChecks.owner(owner("app", true, [])),
            IntegrityChecks.owner(owner("app", false, ["CREATEDB"])),
            IntegrityChecks.owner(owner("otp_owner", false, ["CREATEDB"])),
            IntegrityChecks.rights([]),
            IntegrityChecks.rights([.init(trouble: "otp_owner may not call hmac", remedy: "GRANT x TO y")]),
            IntegrityChecks.sequences([]), IntegrityChecks.sequences([.init(sequence: "otp.a_seq", last: 1, used: 2)]),
            IntegrityChecks.settings([]), IntegrityChecks.settings(stored), SealChecks.stored([]),
            SealChecks.stored(stored), SealChecks.agrees([], own: []),
            SealChecks.agrees([.init(keyID: "a", count: 4, newestAge: 5)], own: ["a"]),
            SealChecks.agrees([.init(keyID: "a", count: 4, newestAge: 5)], own: ["b"]),
            LogChecks.parameters(WellServer.concealment, stored: []), LogChecks.parameters(onError, stored: []),
            LogChecks.parameters(all, stored: []),
            LogChecks.parameters(WellServer.with(all) { $0.webRoles = [] }, stored: []),
            DurabilityChecks.disk(WellServer.server, stored: stored),
        ]
        return findings + logs.map { LogChecks.failing($0) }
    }

    private static var server: [Finding] {
        let bad = WellServer.with(WellServer.server) {
            ($0.version, $0.encoding, $0.isStandby, $0.hasPgcrypto, $0.hasAutovacuum) = (
                140_009, "LATIN1", true, false, false
            )
            ($0.hasFsync, $0.hasFullPageWrites) = (false, false)
        }
        let weak = WellServer.with(WellServer.server) { $0.synchronousCommit = "off" }
        let states: [(String, String, Int, Int, Bool)] = [
            ("", "on", 0, 0, true), ("b", "on", 0, 0, true), ("", "on", 1, 0, true), ("b", "off", 1, 1, true),
            ("b", "on", 1, 0, false), ("b", "on", 1, 0, true), ("b", "on", 1, 1, true),
        ]
        let standbys = states.map { names, commit, streaming, synchronous, isVisible -> Finding in
            let server = WellServer.with(WellServer.server) {
                ($0.synchronousStandbyNames, $0.synchronousCommit) = (names, commit)
            }
            return DurabilityChecks.standby(
                server, .init(streaming: streaming, synchronous: synchronous, isVisible: isVisible, name: "b"))
        }
        let schemas = [
            SchemaState.current, .absent, .behind(next: 3, newest: 3, isUsable: true),
            .newer(database: 9, program: 3, isUsable: true), .behind(next: 2, newest: 3, isUsable: false),
            .newer(database: 9, program: 3, isUsable: false),
            .changed(version: 1, name: "x"),
        ].map { SchemaCheck.finding($0, newest: 3) }
        let listening = (0..<8).map { bits in
            ListenCheck.finding(
                .init(isHeard: bits & 4 != 0, isPooled: bits & 2 != 0, changesBackend: bits & 1 != 0))
        }
        let full = [60, 95].map {
            ListenCheck.finding(
                .init(isHeard: true, isPooled: false, changesBackend: false, queuePercent: Int32($0)))
        }
        let clocks = [0, 2, -2, 9, -9].map {
            ClockCheck.finding([.init(before: 0, database: Int64($0) * 1_000_000, after: 10)])
        }
        let busy = WellServer.with(WellServer.activity) {
            ($0.due, $0.oldestDue, $0.versions, $0.refused) = (5, 60, ["0.0.9"], 3)
            $0.pauses = [
                .init(scope: "country SA", reason: "otp.countries has no sender", remedy: nil, held: 3),
                .init(scope: "worker 7", reason: "Wrong credentials.", remedy: "Correct them.", held: nil),
            ]
            $0.limits = [.init(name: "total", scope: "total", allowed: "5", period: "1 day", until: "2026-11-30")]
        }
        let dead = WellServer.with(busy) { ($0.workersAlive, $0.lastAccepted, $0.lastHeartbeat) = (0, nil, nil) }
        let activity = [WellServer.activity, busy, dead].flatMap { read -> [Finding] in
            let pair = [ActivityChecks.workers(read, version: "0.1.0"), ActivityChecks.accepted(read)]
            return pair + ActivityChecks.pauses(read) + ActivityChecks.limits(read)
        }
        let fraud = [
            ReadFraud.Coverage(), .init(isCounted: false), .init(lookups: 200, lookedUp: 12),
            .init(
                action: "observe", sentToday: 40, withoutAddress: 30,
                holds: [.init(name: "country SA", explanation: "31 texts are out.", remedy: "SELECT otp.end_hold();")]),
        ].flatMap(FraudChecks.findings)
        let program = NumberTable(version: "9.0.43", releasedOn: "2026-11-06")
        let numbers = [(nil, 0), ("9.0.43", 0), ("9.0.43", 400), ("9.0.1", 0)].map { (version: String?, age) in
            NumberTableCheck.finding(
                .init(table: version.map { NumberTable(version: $0, releasedOn: "2026-11-06") }, age: age),
                program: program)
        }
        let arabic = String(repeating: "ب", count: 80) + "{code}"
        let rows = [
            TemplateSet.Row(purpose: "a", locale: "en", text: "{code}"),
            .init(purpose: "a", locale: "ar", text: arabic, webOTPHost: "a.example"),
            .init(purpose: "b", locale: "fr", text: "{code} {x}"),
            .init(purpose: "c", locale: "fr", text: String(repeating: "é ş", count: 900) + "{code}"),
            .init(purpose: "d", locale: "fr", text: String(repeating: "ş", count: 90) + "{code}"),
        ]
        var templates = [[], rows, [rows[0]]].flatMap { TemplateChecks.locales($0) }
        templates += TemplateChecks.segments(rows, appName: "ş")
        templates += TemplateChecks.segments([rows[0]], appName: "A")
        let others = [
            DurabilityChecks.disk(bad, stored: []), DurabilityChecks.disk(weak, stored: []),
            DurabilityChecks.disk(WellServer.server, stored: []), ClockCheck.finding([]),
            TimeZoneCheck.finding(.init(name: "UTC", time: "2026-11-26 01:34"), server: "UTC", host: "UTC"),
            TimeZoneCheck.finding(.init(name: "Asia/Riad", time: nil), server: "UTC", host: nil),
        ]
        let servers = ServerChecks.findings(WellServer.server) + ServerChecks.findings(bad)
        return [servers, schemas, standbys, listening, full, clocks, activity, fraud, numbers, templates, others]
            .flatMap {
                $0
            }
    }

    private static var providers: [Finding] {
        let open = WellServer.with(WellServer.concealment) { ($0.isOn, $0.ownerMay) = (false, false) }
        let logs = WellServer.with(open) { ($0.logStatement, $0.parameterLengthOnError) = ("all", 0) }
        let plain = WellServer.with(WellServer.security) { ($0.hasTLS, $0.mode) = (false, "prefer") }
        return DatabaseProvider.allCases.flatMap { provider -> [Finding] in
            let remedies = Remedies(provider, database: "app")
            let bad = WellServer.with(WellServer.server) {
                ($0.provider, $0.hasAutovacuum, $0.hasPgcrypto, $0.isStandby) = (provider, false, false, true)
                ($0.version, $0.hasFsync, $0.synchronousCommit) = (140_001, false, "off")
            }
            return ServerChecks.findings(bad) + [
                EncryptionCheck.finding(plain, remedies),
                EncryptionCheck.finding(WellServer.with(plain) { $0.hasTLS = true }, remedies),
                LogChecks.failing(open, remedies), LogChecks.parameters(logs, stored: [], remedies),
                DurabilityChecks.disk(bad, stored: []),
                DurabilityChecks.standby(bad, .init(streaming: 2, synchronous: 0, isVisible: true, name: "b")),
                ListenCheck.finding(.init(isHeard: false, isPooled: true, changesBackend: true), remedies),
            ]
        }
    }

    private static let reasons: [HTTPError.Reason] = [
        .notSent(.nameLookupFailed), .notSent(.tlsFailed("self-signed certificate")), .notSent(.connectTimedOut),
        .notSent(.certificatesUnreadable), .notSent(.connectFailed(errno: 111)), .unknown(.timedOut), .insecureURL,
        .unknown(.garbled),
    ]

    private static var twilio: [Finding] {
        let contexts = [false, true].map {
            TwilioChecks.Context(baseURL: $0 ? "http://127.0.0.1:1" : "https://api.twilio.com", usesKey: $0)
        }
        func answer(_ status: Int, _ body: String = "") -> HTTPAnswer {
            .response(status: status, body: Array(body.utf8))
        }
        let refusals = [
            (401, 20003), (403, 20005), (403, 20008), (403, 20403), (404, 20404), (429, 20429), (500, 20500),
            (400, 20001),
        ].map { answer($0, #"{"code": \#($1), "message": "Words", "status": \#($0)}"#) }
        let good = answer(200, #"{"messages": [], "next_page_uri": null}"#)
        let accounts = [("active", "Full"), ("active", "Trial"), ("suspended", "Full")].map {
            answer(200, #"{"sid": "AC1", "status": "\#($0)", "type": "\#($1)"}"#)
        }
        let numbers = [
            "", #"{"phone_number": "+15005550006", "capabilities": {"sms": true}}"#,
            #"{"phone_number": "+15005550006", "capabilities": {"sms": false}}"#,
        ].map { answer(200, #"{"incoming_phone_numbers": [\#($0)]}"#) }
        let failures = reasons.map {
            HTTPAnswer.failure(HTTPError($0, origin: "https://api.twilio.com"))
        }
        var findings: [Finding] = []
        for context in contexts {
            for reply in refusals + failures + accounts + [answer(302), good] {
                findings.append(TwilioChecks.account(reply, messages: good, context))
                findings.append(TwilioChecks.messages(reply, context))
            }
            for lookup in [TwilioChecks.Lookup.name("Mgask"), .service, .number("+15005550006")] {
                findings.append(TwilioChecks.sender(lookup, nil, countries: ["SA"], context))
            }
            for reply in numbers + refusals {
                for countries in [["SA"], []] {
                    let lookup = TwilioChecks.Lookup.number("+15005550006")
                    findings.append(TwilioChecks.sender(lookup, reply, countries: countries, context))
                }
            }
        }
        return findings
    }

    private static var callback: [Finding] {
        get throws {
            var findings: [Finding] = []
            for address in ["https://sms.example.com/status", "http://127.0.0.1:8080/status"] {
                let url = try WebAddress(address)
                for status in [200, 301, 400, 401, 403, 404, 405, 502, 500] {
                    for hasReceiver in [true, false] {
                        let body = status == 403 && hasReceiver ? "" : CallbackCheck.ownWords
                        let reply = HTTPAnswer.response(status: status, body: Array(body.utf8))
                        findings.append(CallbackCheck.finding(url, reply, hasReceiver: hasReceiver))
                    }
                }
                for reason in reasons {
                    let error = HTTPError(reason, origin: address)
                    findings.append(CallbackCheck.finding(url, .failure(error), hasReceiver: true))
                }
            }
            return findings
        }
    }

    private static var files: [Finding] {
        let modes: [(UInt32, Bool)] = [(0o600, true), (0o644, true), (0o644, false), (0o666, true), (0o640, true)]
        let sources = modes.map { mode, isReachable in
            SecretFileChecks.Source(
                name: "OTPD_SECRET", path: "/etc/otpd/secret",
                facts: FileFacts(mode: mode, owner: "root", group: "users", isReachable: isReachable))
        }
        let parts = Settings.parts(
            environment: ["OTPD_SECRET": "short", "OTPD_APPNAME": "x"], readFile: Fixture.reader([:]))
        let well = Settings.parts(environment: Fixture.environment, readFile: Fixture.reader([:]))
        var findings = SecretFileChecks.findings([]) + SecretFileChecks.findings(sources)
        findings += SecretFileChecks.findings([.init(name: "OTPD_SECRET", path: "/x", facts: nil)])
        findings += [nil, 64, 100_000].map { DescriptorCheck.finding(limit: $0, maxInFlight: 64, servers: 0) }
        findings += SettingsChecks.findings(parts) + SettingsChecks.findings(well)
        findings += SettingsChecks.removed(["SSLKEYLOGFILE"])
        findings.append(SettingsChecks.skip(TwilioChecks.sender, "Twilio's settings", is: "are"))
        findings += [Fixture.environment, [:]].map { SecretFileChecks.environmentFinding($0) }
        return findings
    }
}
