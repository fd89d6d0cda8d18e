import Testing

/// The rules of the schema, as `Tests/sql/run` asserts them with psql alone.
@Suite(.emptyDatabase) struct SQLTests {
    @Test func theRulesOfTheSchemaHold() async throws {
        let scope = try #require(TestScope.current)
        var environment = Environment.base
        environment["OTP_SQL_SERVER"] = "1"
        let run = try scope.start("bash", ["\(BuildFolder.root)/Tests/sql/run"], environment: environment)
        let code = try await run.exit(within: .seconds(170))
        #expect(code == 0, "\(run.output)\(run.errors)")
        #expect(run.output.contains(" passed, 0 failed"))
    }
}
