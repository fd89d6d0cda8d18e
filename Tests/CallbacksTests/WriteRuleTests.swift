import Testing

@testable import Callbacks
@testable import Postgres

struct WriteRuleTests {
    private func server(_ sqlstate: String) -> PostgresError {
        .server(ServerError(severity: "ERROR", sqlstate: sqlstate, message: "no"))
    }

    @Test(
        arguments: [
            // Serialization, deadlock: at once. A lock that is not to be had: the others first. Values: the others alone.
            ("40001", .again(after: 0), .again(after: 0)), ("40P01", .again(after: 0), .again(after: 0)),
            ("55P03", .halve, .later), ("22P02", .halve, .drop), ("23505", .halve, .drop), ("OT007", .halve, .drop),
            ("42501", .again(after: 1000), .again(after: 1000)), ("42883", .again(after: 1000), .again(after: 1000)),
            ("53300", .again(after: 1000), .again(after: 1000)), ("57P01", .again(after: 1000), .again(after: 1000)),
            ("XX000", .again(after: 1000), .again(after: 1000)),
        ] as [(String, WriteRule.Step, WriteRule.Step)])
    func refusals(sqlstate: String, ofMany: WriteRule.Step, ofOne: WriteRule.Step) {
        #expect(WriteRule.decide(server(sqlstate), count: 2) == ofMany)
        #expect(WriteRule.decide(server(sqlstate), count: 1) == ofOne)
    }

    @Test(
        arguments: [
            .lost(Loss(reason: "gone", farewell: nil, outcome: .unknown)), .deadline(.unknown), .cancelled(.notSent),
            .connect(ConnectFailure(attempts: [])), .unsuitable("a standby"),
        ] as [PostgresError])
    func awayMeansAgain(error: PostgresError) {
        for count in [1, 200] { #expect(WriteRule.decide(error, count: count) == .again(after: 100)) }
    }
}
