import TestSupport
import Testing

/// The rules of the schema, as `Tests/sql/run` asserts them with psql alone.
@Suite(.emptyDatabase) struct SQLTests {
    @Test(arguments: Files.list("\(Repository.root)/Tests/sql").filter { $0.hasSuffix(".sh") }.sorted())
    func theRulesOfTheSchemaHold(part: String) async throws {
        let scope = try #require(TestScope.current)
        var environment = Environment.base
        environment["OTP_SQL_SERVER"] = "1"
        let run = try scope.start(
            "bash", ["\(Repository.root)/Tests/sql/run", String(part.dropLast(3))], environment: environment)
        let code = try await run.exit(within: .seconds(900))
        #expect(code == 0, "\(run.output)\(run.errors)")
        #expect(run.output.contains(" passed, 0 failed"))
        #expect(!run.output.contains("\n0 passed"), "\(part) was run")
    }
}
