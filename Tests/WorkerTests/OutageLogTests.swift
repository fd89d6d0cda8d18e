import Postgres
import Testing

@testable import Worker

/// One loss of the database is one line, though two sessions lose it.
@Suite struct OutageLogTests {
    private func lost(_ outcome: StatementFate) -> PostgresError {
        .lost(Loss(reason: "gone", farewell: nil, outcome: outcome))
    }

    private func isNew(_ error: PostgresError, _ listens: Bool, _ log: inout OutageLog) -> Bool {
        log.isNew(error, listens: listens)
    }

    private let refused = PostgresError.connect(
        ConnectFailure(attempts: [.init(target: "db:5432", reason: "Connection refused")]))

    @Test func theSecondSessionsWordForItIsNoNews() {
        var log = OutageLog()
        log.connected(listens: true)
        log.connected(listens: false)
        #expect(isNew(lost(.unknown), true, &log))
        #expect(!isNew(lost(.notSent), false, &log))
        // That nothing listens there is news, once.
        #expect(isNew(refused, false, &log))
        #expect(!isNew(refused, true, &log))
        #expect(!isNew(refused, false, &log))
    }

    @Test func theNextLossIsNewsOnceBothAreBack() {
        var log = OutageLog()
        #expect(isNew(refused, true, &log))
        #expect(!isNew(refused, false, &log))
        log.connected(listens: true)
        #expect(!isNew(refused, false, &log))
        log.connected(listens: false)
        #expect(isNew(lost(.notSent), false, &log))
        #expect(!isNew(lost(.unknown), true, &log))
    }
}
