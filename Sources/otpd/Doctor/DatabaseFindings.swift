internal import Postgres
internal import Queue

/// Turns the readings of the database into findings, in the order in which they are shown. Pure.
struct DatabaseFindings {
    let readings: DatabaseReadings
    /// The key ids of OTPD_SECRET and OTPD_SECRET_PREVIOUS. Nil where these are invalid.
    let ownKeys: [String]?
    let appName: String?
    /// This program's version.
    let version: String
    /// This host's time zone. Nil where it is unknown.
    let hostZone: String?

    /// All checks that need the database.
    static let checks: [Check] = [
        ServerChecks.all, [EncryptionCheck.check, SchemaCheck.check], RoleChecks.all, IntegrityChecks.all,
        SealChecks.all, LogChecks.all, [ClockCheck.check, ListenCheck.check], DurabilityChecks.all,
        [TimeZoneCheck.check, NumberTableCheck.check], TemplateChecks.all,
        [RouteChecks.check, FraudChecks.check, TestNumberCheck.check], ActivityChecks.all,
    ].flatMap { $0 }

    /// All checks, skipped for one reason.
    static func skipped(_ why: String) -> [Finding] { checks.map { $0.skip(why) } }

    private static let needsSchema = "This check needs the current schema."

    func all(newest: Int = Migration.newest) -> [Finding] {
        var findings = [ServerChecks.connection(readings.failure, target: readings.target)]
        guard let server = readings.server else {
            return findings + Self.checks.dropFirst().map { $0.skip("The database cannot be reached.") }
        }
        switch server {
        case .success(let server): findings += ServerChecks.findings(server)
        case .failure(let error): findings += ServerChecks.all.dropFirst().map { $0.unread(error) }
        }
        findings.append(
            readings.security.map { EncryptionCheck.finding($0, remedies) }
                ?? EncryptionCheck.check.skip("The connection has ended."))
        findings.append(finding(SchemaCheck.check, readings.schema) { SchemaCheck.finding($0, newest: newest) })
        findings.append(finding(RoleChecks.roles, readings.role) { RoleChecks.roles($0, remedies) })
        findings.append(finding(RoleChecks.login, readings.role) { RoleChecks.login($0, remedies) })
        findings.append(grants)
        findings += integrity
        findings += seals
        findings += logs
        findings.append(finding(ClockCheck.check, readings.clock, ClockCheck.finding))
        findings.append(finding(ListenCheck.check, readings.listen) { ListenCheck.finding($0, remedies) })
        findings += durability
        findings.append(zone)
        findings.append(
            finding(NumberTableCheck.check, readings.numbers) { NumberTableCheck.finding($0, program: .embedded) })
        findings += list(TemplateChecks.locales, readings.templates, TemplateChecks.locales)
        findings += list(TemplateChecks.segments, readings.templates) {
            TemplateChecks.segments($0, appName: appName)
        }
        findings += list(RouteChecks.check, readings.routes, RouteChecks.findings)
        findings += list(FraudChecks.check, readings.fraud, FraudChecks.findings)
        findings += list(TestNumberCheck.check, readings.testNumbers) {
            TestNumberCheck.findings($0, own: ownKeys)
        }
        findings.append(
            finding(ActivityChecks.workers, readings.activity) { ActivityChecks.workers($0, version: version) })
        findings += list(ActivityChecks.pauses, readings.activity, ActivityChecks.pauses)
        findings += list(ActivityChecks.limits, readings.activity, ActivityChecks.limits)
        findings.append(finding(ActivityChecks.accepted, readings.activity, ActivityChecks.accepted))
        return findings
    }

    /// The remedies that exist where the database runs. Those of your own server if that could not be read.
    private var remedies: Remedies {
        let server = try? readings.server?.get()
        return Remedies(server?.provider, database: server?.database)
    }

    /// Whether wrong roles or grants explain why PostgreSQL refuses a reading.
    private var isRefusalExplained: Bool {
        let role = try? readings.role?.get()
        let missing = (try? readings.missingGrants?.get()) ?? []
        return role.map { !$0.isWorker } ?? false || !missing.isEmpty
    }

    private var grants: Finding {
        let check = RoleChecks.grants
        if let role = try? readings.role?.get(), role.missing.contains("otp_worker") {
            return check.skip("The role otp_worker does not exist.")
        }
        if let state = try? readings.schema?.get(), !state.isUsable {
            return check.skip(Self.needsSchema)
        }
        return finding(check, readings.missingGrants, RoleChecks.grants)
    }

    private var integrity: [Finding] {
        let settings = finding(IntegrityChecks.settings, readings.stored) {
            IntegrityChecks.settings($0, remedies)
        }
        if let state = try? readings.schema?.get(), !state.isUsable {
            let others = [IntegrityChecks.owner, IntegrityChecks.rights, IntegrityChecks.sequences]
            return others.map { $0.skip(Self.needsSchema) } + [settings]
        }
        return [
            finding(IntegrityChecks.owner, readings.owner) { IntegrityChecks.owner($0, remedies) },
            finding(IntegrityChecks.rights, readings.rights) { IntegrityChecks.rights($0, remedies) },
            finding(IntegrityChecks.sequences, readings.sequences, IntegrityChecks.sequences),
            settings,
        ]
    }

    private var seals: [Finding] {
        let agrees =
            ownKeys.map { own in finding(SealChecks.agrees, readings.seals) { SealChecks.agrees($0, own: own) } }
            ?? SettingsChecks.skip(SealChecks.agrees, "OTPD_SECRET")
        return [finding(SealChecks.stored, readings.stored) { SealChecks.stored($0, remedies) }, agrees]
    }

    private var logs: [Finding] {
        if let state = try? readings.schema?.get(), state == .absent {
            return LogChecks.all.map { $0.skip(Self.needsSchema) }
        }
        let stored = (try? readings.stored?.get()) ?? []
        return [
            finding(LogChecks.failing, readings.concealment) { LogChecks.failing($0, remedies) },
            finding(LogChecks.parameters, readings.concealment) {
                LogChecks.parameters($0, stored: stored, remedies)
            },
        ]
    }

    private var durability: [Finding] {
        let stored = (try? readings.stored?.get()) ?? []
        let disk = finding(DurabilityChecks.disk, readings.server) { DurabilityChecks.disk($0, stored: stored) }
        guard let server = try? readings.server?.get() else {
            return [disk, DurabilityChecks.standby.skip("The server's settings could not be read, see above.")]
        }
        return [
            disk,
            finding(DurabilityChecks.standby, readings.standbys) { DurabilityChecks.standby(server, $0) },
        ]
    }

    private var zone: Finding {
        let shown = (try? readings.server?.get())?.timeZone ?? "the server's zone"
        return finding(TimeZoneCheck.check, readings.zone) {
            TimeZoneCheck.finding($0, server: shown, host: hostZone)
        }
    }

    private func finding<Value>(
        _ check: Check, _ reading: DatabaseReadings.Reading<Value>?, _ decide: (Value) -> Finding
    ) -> Finding {
        switch reading {
        case .success(let value): decide(value)
        case .failure(let error): check.unread(error, isExplained: isRefusalExplained, remedies)
        case nil: check.skip("not read")
        }
    }

    private func list<Value>(
        _ check: Check, _ reading: DatabaseReadings.Reading<Value>?, _ decide: (Value) -> [Finding]
    ) -> [Finding] {
        switch reading {
        case .success(let value): decide(value)
        case .failure(let error): [check.unread(error, isExplained: isRefusalExplained, remedies)]
        case nil: [check.skip("not read")]
        }
    }
}
