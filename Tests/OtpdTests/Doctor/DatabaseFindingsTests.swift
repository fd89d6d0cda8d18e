import OTP
import Queue
import Testing

@testable import Postgres
@testable import otpd

/// What is read becomes findings: all of them, whatever could not be read.
@Suite struct DatabaseFindingsTests {
    private static var well: DatabaseReadings {
        DatabaseReadings(
            target: "db:5432", security: WellServer.security, server: .success(WellServer.server),
            clock: .success([.init(before: 0, database: 0, after: 0)]), role: .success(WellServer.role),
            schema: .success(.current), missingGrants: .success([]), stored: .success([]),
            concealment: .success(WellServer.concealment),
            owner: .success(WellServer.owner), rights: .success([]), sequences: .success([]), seals: .success([]),
            standbys: .success(WellServer.noStandby), zone: .success(.init(name: "UTC", time: "2026-01-01 00:00")),
            numbers: .success(.init(table: .embedded, age: 0)),
            templates: .success([.init(purpose: "a", locale: "en", text: "{code}")]), countries: .success([]),
            routes: .success([.init(purpose: "*", country: "*", step: 1, channel: "sms", problem: nil)]),
            fraud: .success(.init()), testNumbers: .success([]), activity: .success(WellServer.activity),
            listen: .success(.init(isHeard: true, isPooled: false, changesBackend: false)))
    }

    private func findings(_ change: (inout DatabaseReadings) -> Void = { _ in }) -> [Finding] {
        DatabaseFindings(
            readings: WellServer.with(Self.well, change), ownKeys: ["a"], appName: "Mgask", version: "0.1.0",
            hostZone: nil
        ).all()
    }

    private func notPassed(_ change: (inout DatabaseReadings) -> Void) -> [String: Finding.Verdict] {
        Dictionary(findings(change).map { ($0.id, $0.verdict) }) { first, _ in first }.filter { $0.value != .pass }
    }

    @Test func allIsWell() {
        #expect(findings().allSatisfy { $0.verdict == .pass }, "\(findings().filter { $0.verdict != .pass })")
        #expect(findings().map(\.id) == DatabaseFindings.checks.map(\.id))
        #expect(Set(DatabaseFindings.checks.map(\.id)).count == DatabaseFindings.checks.count)
    }

    @Test func withoutADatabaseTheRestIsSkipped() {
        let away = findings {
            $0 = DatabaseReadings(
                target: "db", failure: .connect(.init(attempts: [.init(target: "db", reason: "Connection refused")])))
        }
        #expect(away.map(\.id) == DatabaseFindings.checks.map(\.id))
        #expect(away[0].verdict == .fail(.unreachable))
        #expect(away.dropFirst().allSatisfy { $0.verdict == .skip })
    }

    private var refused: PostgresError {
        .server(ServerError(severity: "ERROR", sqlstate: "42501", message: "permission denied for table templates"))
    }

    /// One cause, one failure: what a missing grant hides is skipped, and says where to look.
    @Test func aRefusalThatRolesExplainIsNoFindingOfItsOwn() {
        let grant = WorkerGrant.all.filter { $0.name == "templates" }
        #expect(
            notPassed {
                $0.missingGrants = .success(grant)
                $0.templates = .failure(refused)
            } == ["grants": .fail(.privileges), "template-locales": .skip, "template-segments": .skip])
        #expect(
            notPassed {
                $0.role = .success(WellServer.with(WellServer.role) { ($0.isWorker, $0.isMember) = (false, false) })
                $0.schema = .failure(refused)
                $0.activity = .failure(refused)
                $0.routes = .failure(refused)
                $0.fraud = .failure(refused)
            } == [
                "login-role": .fail(.privileges), "schema": .skip, "routes": .skip, "fraud": .skip, "workers": .skip,
                "pauses": .skip,
                "limits": .skip,
                "last-accepted": .skip,
            ])
        #expect(notPassed { $0.zone = .failure(refused) } == ["time-zone": .fail(.privileges)])
    }

    @Test func anAbsentSchemaIsOneFailure() {
        let absent = PostgresError.server(ServerError(severity: "ERROR", sqlstate: "42P01", message: "no relation"))
        let found = notPassed {
            $0.schema = .success(.absent)
            $0.missingGrants = .success(WorkerGrant.all)
            ($0.seals, $0.zone, $0.templates, $0.activity) = (
                .failure(absent), .failure(absent), .failure(absent), .failure(absent)
            )
        }
        #expect(found.filter { $0.value != .skip } == ["schema": .fail(.configuration)])
        #expect(found["grants"] == .skip && found["log-failing-statements"] == .skip && found["workers"] == .skip)
    }

    @Test func aConnectionThatIsLostHalfway() {
        let lost = PostgresError.deadline(.unknown)
        let found = notPassed {
            ($0.activity, $0.listen, $0.standbys) = (.failure(lost), .failure(lost), .failure(lost))
        }
        #expect(
            found == [
                "workers": .skip, "pauses": .skip, "limits": .skip, "last-accepted": .skip, "listen": .skip,
                "standby": .skip,
            ])
    }

    @Test func aMissingWorkerRoleIsNotAskedForItsGrants() {
        let undefined = PostgresError.server(ServerError(severity: "ERROR", sqlstate: "42704", message: "no role"))
        let found = notPassed {
            $0.role = .success(
                WellServer.with(WellServer.role) {
                    ($0.missing, $0.isWorker, $0.isMember) = (["otp_worker"], false, false)
                })
            $0.missingGrants = .failure(undefined)
        }
        #expect(found == ["roles": .fail(.configuration), "login-role": .fail(.privileges), "grants": .skip])
    }
}
