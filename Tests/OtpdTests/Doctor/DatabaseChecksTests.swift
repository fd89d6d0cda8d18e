import Queue
import Testing

@testable import Postgres
@testable import otpd

/// A server with which all is well, to be made wrong one thing at a time.
enum WellServer {
    static let owner = ReadOwner.Owner(
        name: "otp_owner", isSuperuser: false, canLogIn: false, attributes: [], hasMembershipOptions: true)
    static let server = ReadServer.Server(
        version: 150_004, encoding: "UTF8", isStandby: false, backendPID: 1, database: "app", hasPgcrypto: true,
        hasAutovacuum: true, hasFsync: true, hasFullPageWrites: true, synchronousCommit: "on",
        synchronousStandbyNames: "", timeZone: "UTC")
    static let security = ConnectionSecurity(
        host: "db", address: "10.0.0.1", hasTLS: true, hasGSS: false, mode: "verify-full", libpqVersion: 150_000)
    static let role = ReadRole.Role(
        name: "otpd", isSuperuser: false, attributes: [], isWorker: true, isMember: true, dangerous: [], missing: [])
    static let concealment = ReadConcealment.Concealment(
        isOn: true, ownerMay: true, owner: "otp_owner", logStatement: "none", logsDurations: false, parameterLength: -1,
        parameterLengthOnError: 0, webRoles: ["web"], loggedRoles: ["web"])
    static let noStandby = ReadStandbys.Standbys(streaming: 0, synchronous: 0, isVisible: true, name: nil)
    static let activity = ReadActivity.Activity(
        workersAlive: 1, versions: ["0.1.0"], lastHeartbeat: 2, due: 0, oldestDue: nil, lastAccepted: 60, pauses: [])

    static func with<Value>(_ value: Value, _ change: (inout Value) -> Void) -> Value {
        var value = value
        change(&value)
        return value
    }
}

@Suite struct ServerChecksTests {
    private func verdicts(_ change: (inout ReadServer.Server) -> Void) -> [String: Finding.Verdict] {
        let findings = ServerChecks.findings(WellServer.with(WellServer.server, change))
        return Dictionary(uniqueKeysWithValues: findings.map { ($0.id, $0.verdict) }).filter { $0.value != .pass }
    }

    @Test func oneThingAtATime() {
        #expect(verdicts { _ in }.isEmpty)
        #expect(verdicts { $0.version = 140_009 } == ["database-version": .fail(.configuration)])
        #expect(verdicts { $0.version = 180_000 }.isEmpty)
        #expect(verdicts { $0.encoding = "LATIN1" } == ["database-encoding": .fail(.configuration)])
        #expect(verdicts { $0.isStandby = true } == ["database-primary": .fail(.configuration)])
        #expect(verdicts { $0.hasPgcrypto = false } == ["database-pgcrypto": .fail(.configuration)])
        #expect(verdicts { $0.hasAutovacuum = false } == ["database-autovacuum": .warn])
    }

    private func connection(
        _ reason: String, _ sqlstate: String? = nil, _ stage: ConnectFailure.Stage = .network
    ) -> Finding {
        let attempt = ConnectFailure.Attempt(target: "db:5432", reason: reason, sqlstate: sqlstate, stage: stage)
        return ServerChecks.connection(.connect(ConnectFailure(attempts: [attempt])), target: "db:5432")
    }

    @Test func whyThereIsNoConnection() {
        #expect(ServerChecks.connection(nil, target: "db:5432").verdict == .pass)
        #expect(connection("Connection refused").verdict == .fail(.unreachable))
        #expect(connection("Connection refused").remedy?.contains("pg_isready -h db -p 5432;") == true)
        #expect(
            connection("FATAL:  Passwort-Authentifizierung für Benutzer »a«", "28P01").verdict == .fail(.privileges))
        #expect(connection("FATAL:  kein pg_hba.conf-Eintrag", "28000").verdict == .fail(.privileges))
        #expect(connection("FATAL:  keine Berechtigung", "42501").verdict == .fail(.privileges))
        #expect(connection("fe_sendauth: no password supplied", nil, .password).verdict == .fail(.privileges))
        #expect(connection("FATAL:  Datenbank »x« existiert nicht", "3D000").verdict == .fail(.configuration))
        #expect(connection("FATAL:  zu viele Verbindungen", "53300").verdict == .fail(.unreachable))
        #expect(connection("certificate verify failed", nil, .tls).verdict == .fail(.configuration))
        // Words decide nothing.
        #expect(connection("FATAL:  the password does not exist", "57P03").verdict == .fail(.unreachable))
        let pooler = connection("FATAL:  unsupported startup parameter: options", "08P01")
        #expect(pooler.verdict == .fail(.configuration))
        #expect(pooler.found.contains("PgBouncer"))
        #expect(ServerChecks.connection(.settings("no"), target: "").verdict == .fail(.configuration))
        #expect(ServerChecks.connection(.deadline(.notSent), target: "").verdict == .fail(.unreachable))
    }

    @Test func schemas() {
        func verdict(_ state: SchemaState) -> Finding.Verdict { SchemaCheck.finding(state, newest: 3).verdict }
        #expect(verdict(.current) == .pass)
        for state: SchemaState in [
            .absent, .behind(next: 2, newest: 3, isUsable: false), .newer(database: 9, program: 3, isUsable: false),
            .changed(version: 1, name: "x"),
        ] {
            #expect(verdict(state) == .fail(.configuration))
        }
        #expect(verdict(.behind(next: 3, newest: 3, isUsable: true)) == .warn)
        #expect(verdict(.newer(database: 9, program: 3, isUsable: true)) == .warn)
        #expect(SchemaCheck.finding(.absent, newest: 3).remedy?.contains("otpd migrate up") == true)
    }
}

@Suite struct RoleChecksTests {
    private func login(_ change: (inout ReadRole.Role) -> Void) -> Finding {
        RoleChecks.login(WellServer.with(WellServer.role, change))
    }

    @Test func theLoginRole() {
        #expect(login { _ in }.verdict == .pass)
        #expect(login { $0.isSuperuser = true }.verdict == .warn)
        // The role that is there cannot be made.
        #expect(login { $0.isSuperuser = true }.remedy?.contains("ALTER ROLE otpd NOSUPERUSER") == true)
        #expect(login { ($0.isSuperuser, $0.name) = (true, "postgres") }.remedy?.contains("CREATE ROLE otpd") == true)
        let stranger = login { ($0.isWorker, $0.isMember) = (false, false) }
        #expect(stranger.verdict == .fail(.privileges))
        #expect(stranger.remedy?.contains("GRANT otp_worker TO otpd;") == true)
        let noInherit = login { $0.isWorker = false }
        #expect(noInherit.verdict == .fail(.privileges))
        #expect(noInherit.remedy?.contains("INHERIT") == true)
        let owner = login { $0.dangerous = ["otp_owner"] }
        #expect(owner.verdict == .warn)
        #expect(owner.remedy?.contains("REVOKE otp_owner FROM otpd;") == true)
        #expect(login { $0.attributes = ["BYPASSRLS"] }.remedy?.contains("ALTER ROLE otpd NOBYPASSRLS;") == true)
    }

    @Test func rolesThatDoNotExist() {
        #expect(RoleChecks.roles(WellServer.role).verdict == .pass)
        let finding = RoleChecks.roles(WellServer.with(WellServer.role) { $0.missing = ["otp_web"] })
        #expect(finding.verdict == .fail(.configuration))
        #expect(finding.remedy?.contains("CREATE ROLE otp_web;") == true)
    }

    @Test func grants() {
        #expect(RoleChecks.grants([]).verdict == .pass)
        let some = WorkerGrant.all.filter { $0.name == "pauses" || $0.name == "prune" || $0.column == "e164" }
        let finding = RoleChecks.grants(some)
        #expect(finding.verdict == .fail(.privileges))
        #expect(finding.remedy?.contains("GRANT SELECT ON otp.pauses TO otp_worker;") == true)
        #expect(
            RoleChecks.grants(WorkerGrant.all).remedy?.contains("There are \(WorkerGrant.all.count - 5) more") == true)
        let words = WorkerGrant.all.map(\.statement)
        #expect(words.contains("GRANT USAGE ON SCHEMA otp TO otp_worker"))
        #expect(words.contains("GRANT SELECT (e164) ON otp.verifications TO otp_worker"))
        #expect(words.contains("GRANT EXECUTE ON FUNCTION otp.prune TO otp_worker"))
        #expect(words.contains("GRANT USAGE ON SEQUENCE otp.worker_ids TO otp_worker"))
        #expect(Set(words).count == words.count)
    }

    @Test(arguments: [
        ("otpd", "otpd"), ("a_1", "a_1"), ("Web", "\"Web\""), ("a-b", "\"a-b\""), ("a\"b", "\"a\"\"b\""),
        ("1a", "\"1a\""), ("", "\"\""),
    ])
    func namesAsSQLHasThem(name: String, sql: String) { #expect(Remedies.identifier(name) == sql) }
}

@Suite struct SealChecksTests {
    private func entry(_ role: String?, _ database: String?, _ name: String = "otp.secret") -> ReadStoredSettings.Entry
    {
        .init(role: role, database: database, name: name, value: nil, isWebTier: true)
    }

    @Test(
        arguments: [
            ("web", nil, "ALTER ROLE web RESET otp.secret;"), (nil, "app", "ALTER DATABASE app RESET otp.secret;"),
            ("Web", "my app", "ALTER ROLE \"Web\" IN DATABASE \"my app\" RESET otp.secret;"),
            (nil, nil, "ALTER ROLE ALL RESET otp.secret;"),
        ] as [(String?, String?, String)])
    func storedInTheCatalog(role: String?, database: String?, statement: String) {
        let finding = SealChecks.stored([entry(role, database)])
        #expect(finding.verdict == .fail(.configuration))
        #expect(finding.remedy?.contains(statement) == true, "\(finding.remedy ?? "")")
    }

    @Test func otherStoredSettingsAreNoSecret() {
        #expect(SealChecks.stored([]).verdict == .pass)
        #expect(SealChecks.stored([entry("web", nil, "log_parameter_max_length")]).verdict == .pass)
        #expect(SealChecks.stored([entry("web", nil, "otp.secret_previous")]).verdict == .fail(.configuration))
    }

    @Test func codesOfAnotherSecret() {
        let own = ReadSeals.Seals(keyID: "a", count: 4, newestAge: 5)
        let previous = ReadSeals.Seals(keyID: "b", count: 1, newestAge: 300)
        let foreign = ReadSeals.Seals(keyID: "c", count: 1, newestAge: 61)
        func finding(_ seals: [ReadSeals.Seals]) -> Finding { SealChecks.agrees(seals, own: ["a", "b"]) }
        #expect(finding([]).verdict == .pass)
        #expect(finding([own, previous]).verdict == .pass)
        #expect(finding([own, previous]).found.contains("all 5"))
        #expect(finding([own, foreign]).verdict == .warn)
        #expect(
            finding([own, foreign]).found.contains("1 of 5") && finding([own, foreign]).found.contains("61 s ago"))
    }
}

@Suite struct LogChecksTests {
    private func with(_ change: (inout ReadConcealment.Concealment) -> Void) -> ReadConcealment.Concealment {
        WellServer.with(WellServer.concealment, change)
    }

    @Test(arguments: [
        (true, true, Finding.Verdict.pass), (true, false, .fail(.privileges)), (false, true, .warn),
        (false, false, .warn),
    ])
    func failingStatements(isOn: Bool, ownerMay: Bool, verdict: Finding.Verdict) {
        let finding = LogChecks.failing(with { ($0.isOn, $0.ownerMay) = (isOn, ownerMay) })
        #expect(finding.verdict == verdict)
        if !ownerMay { #expect(finding.remedy?.contains("GRANT SET ON PARAMETER") == true) }
        if !isOn { #expect(finding.remedy?.contains("otp.conceal_statements()") == true) }
    }

    @Test func bindParameters() {
        func verdict(
            _ stored: [ReadStoredSettings.Entry] = [], _ change: (inout ReadConcealment.Concealment) -> Void
        ) -> Finding.Verdict { LogChecks.parameters(with(change), stored: stored).verdict }
        let own = [
            ReadStoredSettings.Entry(
                role: "web", database: nil, name: "log_parameter_max_length", value: "0", isWebTier: true)
        ]
        #expect(verdict { _ in } == .pass)
        #expect(verdict { $0.logStatement = "ddl" } == .pass)
        for logs: (inout ReadConcealment.Concealment) -> Void in [
            { $0.logStatement = "all" }, { $0.logStatement = "mod" }, { $0.logsDurations = true },
        ] {
            #expect(verdict([], logs) == .warn)
            #expect(verdict(own, logs) == .pass)
            #expect(
                verdict {
                    logs(&$0)
                    $0.parameterLength = 0
                } == .pass)
            #expect(
                verdict {
                    logs(&$0)
                    $0.webRoles = []
                } == .pass)
            #expect(
                verdict(own) {
                    logs(&$0)
                    $0.webRoles = ["web", "web2"]
                } == .warn)
        }
        #expect(verdict(own) { $0.parameterLengthOnError = -1 } == .warn)
    }
}

@Suite struct ClockCheckTests {
    private func verdict(_ skew: Double, trip: Double = 0.01) -> Finding.Verdict {
        let before = 1_700_000_000_000_000 as Int64
        let half = Int64(trip * 5e5)
        return ClockCheck.finding([
            .init(before: before, database: before + half + Int64(skew * 1e6), after: before + 2 * half)
        ]).verdict
    }

    @Test func howFarApart() {
        for sign in [1.0, -1.0] {
            #expect(verdict(0 * sign) == .pass)
            #expect(verdict(0.9 * sign) == .pass)
            #expect(verdict(1.1 * sign) == .warn)
            #expect(verdict(4.9 * sign) == .warn)
            #expect(verdict(5.1 * sign) == .fail(.configuration))
            // A slow answer may explain it.
            #expect(verdict(1.4 * sign, trip: 1) == .pass)
            #expect(verdict(5.2 * sign, trip: 1) == .warn)
        }
    }

    @Test func theQuickestLookCounts() {
        let slow = ClockCheck.Sample(before: 0, database: 9_000_000, after: 10_000_000)
        let quick = ClockCheck.Sample(before: 20_000_000, database: 20_001_000, after: 20_002_000)
        #expect(ClockCheck.finding([slow, quick]).verdict == .pass)
        #expect(ClockCheck.finding([quick, slow]).verdict == .pass)
        #expect(ClockCheck.finding([]).verdict == .skip)
        #expect(abs(quick.skew) < 1e-9 && abs(quick.uncertainty - 0.001) < 1e-9)
    }
}

@Suite struct ListenAndDurabilityTests {
    @Test(arguments: [
        (true, false, false, Finding.Verdict.pass), (true, true, false, .pass),
        (true, true, true, .fail(.configuration)),
        (false, true, true, .fail(.configuration)), (false, true, false, .fail(.configuration)),
        (false, false, false, .fail(.configuration)),
    ])
    func listening(isHeard: Bool, isPooled: Bool, changes: Bool, verdict: Finding.Verdict) {
        let finding = ListenCheck.finding(.init(isHeard: isHeard, isPooled: isPooled, changesBackend: changes))
        #expect(finding.verdict == verdict)
        if isPooled, verdict != .pass { #expect(finding.found.contains("PgBouncer")) }
    }

    @Test(arguments: [
        (Int32(0), Finding.Verdict.pass), (49, .pass), (50, .warn), (89, .warn), (90, .fail(.configuration)),
    ])
    func queueOfNotifications(percent: Int32, verdict: Finding.Verdict) {
        let finding = ListenCheck.finding(
            .init(isHeard: percent < 90, isPooled: false, changesBackend: false, queuePercent: percent))
        #expect(finding.verdict == verdict)
        if verdict != .pass { #expect(finding.found.contains("\(percent)% full")) }
    }

    @Test func onDisk() {
        func verdict(
            _ stored: [ReadStoredSettings.Entry] = [], _ change: (inout ReadServer.Server) -> Void
        ) -> Finding.Verdict {
            DurabilityChecks.disk(WellServer.with(WellServer.server, change), stored: stored).verdict
        }
        func role(_ value: String, isWebTier: Bool = true) -> [ReadStoredSettings.Entry] {
            [.init(role: "web", database: nil, name: "synchronous_commit", value: value, isWebTier: isWebTier)]
        }
        #expect(verdict { _ in } == .pass)
        #expect(verdict { $0.hasFsync = false } == .warn)
        #expect(verdict { $0.hasFullPageWrites = false } == .warn)
        #expect(verdict { $0.synchronousCommit = "off" } == .warn)
        #expect(verdict { $0.synchronousCommit = "local" } == .pass)
        #expect(verdict(role("off")) { _ in } == .warn)
        #expect(verdict(role("remote_apply")) { _ in } == .pass)
        #expect(verdict(role("off", isWebTier: false)) { _ in } == .pass)
    }

    @Test(arguments: [
        (0, 0, true, "", "on", Finding.Verdict.pass), (0, 0, true, "FIRST 1 (b)", "on", .fail(.unreachable)),
        (1, 0, true, "", "on", .warn), (1, 0, false, "", "on", .warn), (1, 1, true, "b", "on", .pass),
        (2, 1, true, "b", "remote_apply", .pass), (1, 0, true, "c", "on", .fail(.unreachable)),
        (1, 0, false, "b", "on", .pass), (1, 1, true, "b", "local", .warn), (1, 1, true, "b", "off", .warn),
    ])
    func standbys(
        streaming: Int, synchronous: Int, isVisible: Bool, names: String, commit: String, verdict: Finding.Verdict
    ) {
        let server = WellServer.with(WellServer.server) {
            ($0.synchronousStandbyNames, $0.synchronousCommit) = (names, commit)
        }
        let standbys = ReadStandbys.Standbys(
            streaming: streaming, synchronous: synchronous, isVisible: isVisible, name: "b")
        #expect(DurabilityChecks.standby(server, standbys).verdict == verdict)
    }

    @Test func theRemedyNamesTheStandby() {
        let one = ReadStandbys.Standbys(streaming: 1, synchronous: 0, isVisible: true, name: "berlin")
        #expect(DurabilityChecks.standby(WellServer.server, one).remedy?.contains("'FIRST 1 (berlin)'") == true)
    }

    @Test func timeZones() {
        let known = TimeZoneCheck.finding(
            .init(name: "Asia/Riyadh", time: "2026-11-26 01:34"), server: "UTC", host: "Etc/UTC")
        #expect(known.verdict == .pass)
        #expect(known.found.contains("2026-11-26 01:34") && known.found.contains("Etc/UTC"))
        #expect(
            TimeZoneCheck.finding(.init(name: "Asia/Riad", time: nil), server: "UTC", host: nil).verdict
                == .fail(.configuration))
    }
}

@Suite struct FraudChecksTests {
    @Test func whatTodayAllowsIsSaid() {
        let findings = FraudChecks.findings(.init())
        #expect(findings.map(\.verdict) == [.pass])
        #expect(findings[0].found == "Nothing is held back. Today allows 1000 texts and 100 USD.")
        #expect(FraudChecks.findings(.init(total: nil, budget: nil))[0].found == "Nothing is held back.")
    }

    @Test func aHoldAndAnUnguardedServiceAreWarnings() {
        let hold = ReadFraud.Hold(name: "country SA", explanation: "31 texts are out", remedy: "SELECT otp.end_hold();")
        let findings = FraudChecks.findings(.init(holds: [hold]))
        #expect(findings.map(\.verdict) == [.warn])
        #expect(findings[0].found == "Requests are held back: country SA. 31 texts are out.")
        #expect(findings[0].remedy == hold.remedy)
        #expect(FraudChecks.findings(.init(action: "observe")).map(\.verdict) == [.warn])
        #expect(FraudChecks.findings(.init(isCounted: false)).map(\.verdict) == [.warn])
    }

    @Test func whatLookupsMayCostIsSaid() {
        let findings = FraudChecks.findings(.init(lookups: 200, lookedUp: 12))
        #expect(findings.map(\.verdict) == [.pass, .pass])
        #expect(
            findings[1].found
                == "During a hold, phone numbers are looked up at Twilio: at most 200 in 24 hours, and 12 in the last 24. "
                + "Twilio charges for each, by its price of SMS Pumping Risk.")
        #expect(FraudChecks.findings(.init(isCounted: false, lookups: 200)).map(\.verdict) == [.warn])
    }

    @Test func textsWithoutAnAddressAreAWarningFromTwentyOn() {
        #expect(FraudChecks.findings(.init(sentToday: 19, withoutAddress: 19)).map(\.verdict) == [.pass])
        #expect(FraudChecks.findings(.init(sentToday: 20, withoutAddress: 10)).map(\.verdict) == [.pass])
        let found = FraudChecks.findings(.init(sentToday: 20, withoutAddress: 11))
        #expect(found.map(\.verdict) == [.warn])
        #expect(found[0].found.hasPrefix("11 of the 20 texts of today have no client address."))
    }
}

@Suite struct ActivityChecksTests {
    private func with(_ change: (inout ReadActivity.Activity) -> Void) -> ReadActivity.Activity {
        WellServer.with(WellServer.activity, change)
    }

    @Test func workers() {
        func finding(_ change: (inout ReadActivity.Activity) -> Void) -> Finding {
            ActivityChecks.workers(with(change), version: "0.1.0")
        }
        #expect(finding { _ in }.verdict == .pass)
        let none = finding { ($0.workersAlive, $0.versions, $0.lastHeartbeat, $0.due) = (0, [], 7_200, 4) }
        #expect(none.verdict == .warn)
        #expect(none.found.contains("2 h ago") && none.found.contains("4 jobs are due"))
        #expect(finding { ($0.workersAlive, $0.lastHeartbeat) = (0, nil) }.found.contains("No worker has ever run."))
        #expect(finding { $0.versions = ["0.0.9"] }.verdict == .warn)
    }

    @Test func limits() {
        #expect(ActivityChecks.limits(with { _ in }).map(\.verdict) == [.pass])
        #expect(
            ActivityChecks.limits(with { $0.refused = 1 }).map(\.found) == [
                "No shared limit is used up. Limits refused 1 request in the last hour."
            ])
        let findings = ActivityChecks.limits(
            with {
                $0.refused = 12
                $0.limits = [
                    .init(
                        name: "country SA", scope: "country", allowed: "500", period: "1 day",
                        until: "2026-11-30 00:00:00+03")
                ]
            })
        #expect(findings.map(\.verdict) == [.warn])
        #expect(
            findings[0].found
                == "The limit country SA (500 in 1 day) is used up until 2026-11-30 00:00:00+03. Limits refused 12 requests "
                + "in the last hour.")
        #expect(findings[0].remedy?.contains("raise the limit in otp.limits (scope country)") == true)
    }

    @Test func pauses() {
        #expect(ActivityChecks.pauses(with { _ in }).map(\.verdict) == [.pass])
        let findings = ActivityChecks.pauses(
            with {
                $0.pauses = [
                    .init(scope: "country SA", reason: "carrier is down", remedy: nil, held: 3),
                    .init(scope: "worker 7", reason: "Wrong credentials.", remedy: "Correct them.", held: nil),
                ]
            })
        #expect(findings.map(\.verdict) == [.warn, .warn])
        #expect(findings[0].remedy?.hasSuffix("otpd resume --country SA") == true)
        #expect(findings[0].found.contains("It holds 3 jobs."))
        #expect(findings[1].remedy == "Correct them. Then let otpd probe at once: systemctl reload otpd")
    }

    @Test func accepted() {
        func verdict(_ change: (inout ReadActivity.Activity) -> Void) -> Finding.Verdict {
            ActivityChecks.accepted(with(change)).verdict
        }
        #expect(verdict { _ in } == .pass)
        #expect(verdict { $0.lastAccepted = nil } == .pass)
        #expect(verdict { ($0.due, $0.oldestDue) = (5, 3) } == .pass)
        #expect(verdict { ($0.due, $0.oldestDue) = (5, 31) } == .warn)
    }

    @Test(arguments: [
        (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (200_000, "2 days"),
        (-3, "0 s"),
    ])
    func ages(seconds: Double, words: String) { #expect(Words.age(seconds) == words) }
}

@Suite struct TestNumberCheckTests {
    private func number(_ days: Double = 20, isReal: Bool = false, key: String = "a") -> ReadTestNumbers.TestNumber {
        .init(phoneNumber: "+1555••••100", isReal: isReal, keyID: key, timeLeft: days * 86_400)
    }

    private func found(_ numbers: [ReadTestNumbers.TestNumber], own: [String]? = ["a"]) -> [String] {
        TestNumberCheck.findings(numbers, own: own).filter { $0.verdict == .warn }.map(\.found)
    }

    @Test func eachDangerIsNamed() {
        #expect(TestNumberCheck.findings([], own: ["a"]).map(\.verdict) == [.pass])
        #expect(found([number()]).map { $0.contains("for up to 20 days") } == [true])
        #expect(found([number(), number(isReal: true)]).map { $0.contains("Somebody may have") } == [true])
        #expect(found([number(key: "b")]).map { $0.contains("OT003") } == [true])
        #expect(found([number(key: "b")], own: nil).map { $0.contains("OT003") } == [false])
        #expect(found(Array(repeating: number(), count: 11)).map { $0.contains("11 are live") } == [true])
    }
}
