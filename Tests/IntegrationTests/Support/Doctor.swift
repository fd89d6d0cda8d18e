import FoundationEssentials
import TestSupport
import Testing

/// `otpd doctor --json`, and its findings.
struct Doctor: Sendable {
    struct Finding: Decodable, Sendable {
        let id: String
        let verdict: String
        let found: String
        let remedy: String?
    }

    let code: Int32
    let findings: [Finding]

    /// The findings that are not `pass`, by their check: `fail`, `warn` or `skip`, the worst of each.
    var troubles: [String: String] {
        let order = ["pass", "skip", "warn", "fail"]
        return Dictionary(findings.map { ($0.id, $0.verdict) }) { a, b in
            (order.firstIndex(of: a) ?? 0) >= (order.firstIndex(of: b) ?? 0) ? a : b
        }.filter { $0.value != "pass" }
    }

    func finding(_ id: String) throws -> Finding { try #require(findings.first { $0.id == id }, "\(id) is not there") }

    /// Runs doctor with `environment`. Checks that no secret is in its output.
    static func examine(_ environment: [String: String]) async throws -> Doctor {
        struct Wire: Decodable {
            let checks: [Finding]
            let summary: [String: Int]
        }
        let answer = try await Otpd.command(["doctor", "--json"], environment: environment)
        let printed = answer.output + answer.errors
        for secret in [TestDatabase.secret, Simulator.authToken, DoctorRole.password]
        where printed.contains(secret) {
            throw Trouble("a secret was printed: \(printed)")
        }
        let wire: Wire
        do {
            wire = try JSONDecoder().decode(Wire.self, from: Data(answer.output.utf8))
        } catch {
            throw Trouble("no JSON (\(answer.code)): \(printed)")
        }
        #expect(wire.summary["exit_code"] == Int(answer.code))
        return Doctor(code: answer.code, findings: wire.checks)
    }
}

/// A login role of one test, because roles belong to the cluster.
enum DoctorRole {
    static let password = "not-to-be-printed"

    /// Runs `body` with a new role of that membership (the SQL after CREATE ROLE), and drops the role afterwards.
    static func with(
        _ membership: String = "IN ROLE otp_worker", _ body: (String) async throws -> Void
    ) async throws {
        guard let database = TestScope.current?.database else { throw Trouble("no TestScope") }
        let name = "\(database.name)_login"
        try await database.text("CREATE ROLE \(name) LOGIN PASSWORD '\(password)' \(membership)")
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(name)) } catch { outcome = .failure(error) }
        try await database.text("DROP ROLE \(name)")
        try outcome.get()
    }

    /// Settings that work as that role.
    static func environment(
        _ role: String, _ simulator: String, _ changes: [String: String?] = [:]
    ) throws -> [String: String] {
        try Otpd.environment(simulator, ["PGUSER": role, "PGPASSWORD": password].merging(changes) { $1 })
    }
}
