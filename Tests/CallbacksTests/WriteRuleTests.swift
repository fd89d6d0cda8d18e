import Testing

@testable import Callbacks
@testable import Postgres

struct WriteRuleTests {
    private func server(_ sqlstate: String) -> PostgresError {
        .server(ServerError(severity: "ERROR", sqlstate: sqlstate, message: "no"))
    }

    @Test(
        "what follows the first failure of many and of one, and the third of one",
        arguments: [
            // Serialization, deadlock: at once. A lock that is not to be had: the others first. Values: the others alone.
            ("40001", .again(after: 0), .again(after: 0), .later(after: 2000)),
            ("40P01", .again(after: 0), .again(after: 0), .later(after: 2000)),
            ("55P03", .halve, .later(after: 500), .later(after: 2000)),
            ("25006", .again(after: 1000), .again(after: 1000), .later(after: 2000)),
            ("55000", .again(after: 1000), .again(after: 1000), .later(after: 2000)),
            ("22P02", .halve, .drop, .drop), ("23505", .halve, .drop, .drop), ("OT007", .halve, .drop, .drop),
            // All fail likewise, it seems; in the end each is tried by itself.
            ("42501", .again(after: 1000), .again(after: 1000), .later(after: 2000)),
            ("53300", .again(after: 1000), .again(after: 1000), .later(after: 2000)),
            ("57P01", .again(after: 1000), .again(after: 1000), .later(after: 2000)),
            // A trigger of the operator's, a damaged page, a statement's timeout: of one row, perhaps.
            ("P0001", .halve, .later(after: 500), .later(after: 2000)),
            ("XX000", .halve, .later(after: 500), .later(after: 2000)),
            ("57014", .halve, .later(after: 500), .later(after: 2000)),
        ] as [(String, WriteRule.Action, WriteRule.Action, WriteRule.Action)])
    func refusals(sqlstate: String, ofMany: WriteRule.Action, ofOne: WriteRule.Action, third: WriteRule.Action) {
        #expect(WriteRule.decide(server(sqlstate), count: 2, tries: 1) == ofMany)
        #expect(WriteRule.decide(server(sqlstate), count: 1, tries: 1) == ofOne)
        #expect(WriteRule.decide(server(sqlstate), count: 1, tries: 3) == third)
    }

    @Test(
        "what is refused is given up after eight tries; what is locked is not",
        arguments: [("P0001", true), ("55P03", false)])
    func givesUp(sqlstate: String, isGivenUp: Bool) {
        let waits = (1...8).map { WriteRule.decide(server(sqlstate), count: 1, tries: $0) }
        #expect(
            Array(waits.prefix(7))
                == [500, 1000, 2000, 4000, 8000, 16000, 30000].map { WriteRule.Action.later(after: $0) })
        #expect(waits[7] == (isGivenUp ? .drop : .later(after: 30000)))
    }

    @Test(
        arguments: [
            .lost(Loss(reason: "gone", lastError: nil, outcome: .unknown)), .deadline(.unknown), .canceled(.notSent),
            .connect(ConnectFailure(attempts: [])), .unsuitable("a standby"),
        ] as [PostgresError])
    func awayMeansAgain(error: PostgresError) {
        for count in [1, 200] { #expect(WriteRule.decide(error, count: count, tries: 9) == .again(after: 100)) }
    }
}
