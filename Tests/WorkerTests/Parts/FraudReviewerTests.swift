import EventLoop
import Postgres
import Testing

@testable import Queue
@testable import Worker

/// A connection that reviews.
private final class FraudStandIn: FraudDatabase {
    let reviews: Script<Int, ReviewFraud.Reviewed>

    init(_ answers: [Result<ReviewFraud.Reviewed, PostgresError>] = []) {
        reviews = Script(answers, then: ReviewFraud.Reviewed(counted: 0, ended: 0, held: 0))
    }

    var source: ConnectionSource<any FraudDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func reviewFraud() async throws(PostgresError) -> ReviewFraud.Reviewed { try reviews.answer(1) }
}

extension ReviewFraud.Reviewed {
    fileprivate static func made(counted: Int = 0, held: Int = 0) -> Self {
        .init(counted: counted, ended: 0, held: held)
    }
}

@Suite struct FraudReviewerTests {
    @Test("it reviews every second for eleven minutes after a claim, and then every 20 s")
    func idle() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            var now = Instant(nanoseconds: 1_000_000_000_000)
            var reviewer = FraudReviewer(parts.core, FraudStandIn().source) { now }
            #expect(await reviewer.round() == FraudReviewer.idle)
            parts.core.tally.claimed += 1
            #expect(await reviewer.round() == FraudReviewer.busy)
            now = now + FraudReviewer.awake - .milliseconds(1)
            #expect(await reviewer.round() == FraudReviewer.busy)
            now = now + .milliseconds(1)
            #expect(await reviewer.round() == FraudReviewer.idle)
        }
    }

    @Test("while codes are counted or something is held, it reviews every second; a full batch is followed at once")
    func busy() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = FraudStandIn([
                .success(.made(counted: 3)), .success(.made(held: 1)), .success(.made(counted: FraudReviewer.batch)),
            ])
            var reviewer = FraudReviewer(parts.core, database.source)
            #expect(await reviewer.round() == FraudReviewer.busy)
            #expect(await reviewer.round() == FraudReviewer.busy)
            #expect(await reviewer.round() == .seconds(0))
            #expect(await reviewer.round() == FraudReviewer.idle)
        }
    }

    @Test("a change of the holds is logged once, and so is an error of the server")
    func logged() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = FraudStandIn([
                .success(.made(held: 2)), .success(.made(held: 2)), .success(.made()), .failure(.refused("42883")),
                .failure(.refused("42883")), .failure(.connectionLost),
            ])
            var reviewer = FraudReviewer(parts.core, database.source)
            var waits: [Instant.Duration] = []
            for _ in 0..<6 { waits.append(await reviewer.round()) }
            #expect(
                parts.log.messages == [
                    "requests are held back: codes like theirs were sent and not used; SELECT * FROM otp.fraud_status "
                        + "shows why", "a hold has ended", "cannot review holds; trying again",
                ])
            #expect(waits[3...].allSatisfy { $0 == FraudReviewer.busy })
        }
    }
}
