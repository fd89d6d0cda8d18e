import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// Counts the codes that were used, and reviews the holds of keys whose codes are not used (`otp.review_fraud`).
///
/// It runs every second while this worker claims jobs, while it counts codes, and while something is held; otherwise every
/// 20 s. Codes live for ten minutes at most, so it stays awake for eleven minutes after the last claim. Confined to the loop.
struct FraudReviewer: BackgroundLoop {
    static let busy = Instant.Duration.seconds(1)
    static let idle = Instant.Duration.seconds(20)
    static let awake = Instant.Duration.seconds(660)
    /// The most codes that one review counts.
    static let batch = 1000

    private let core: DispatchCore
    private let records: ConnectionSource<any FraudDatabase>
    private let now: () -> Instant
    private var errors = LogOnce()
    private var claimed: Int64 = 0
    private var awakeUntil: Instant
    private var held = 0

    init(
        _ core: DispatchCore, _ records: ConnectionSource<any FraudDatabase>, now: @escaping () -> Instant = Instant.now
    ) {
        (self.core, self.records, self.now) = (core, records, now)
        awakeUntil = now()
    }

    /// Returns how long until the next round.
    mutating func round() async -> Instant.Duration {
        if core.tally.claimed != claimed {
            claimed = core.tally.claimed
            awakeUntil = now() + Self.awake
        }
        do {
            let reviewed = try await records.connection().reviewFraud()
            errors.succeeded()
            if reviewed.held != held { say(reviewed.held) }
            held = reviewed.held
            if reviewed.counted >= Self.batch { return .seconds(0) }
            return reviewed.counted > 0 || reviewed.held > 0 || now() < awakeUntil ? Self.busy : Self.idle
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error("cannot review holds; trying again", metadata: .of(error))
            }
            return Self.busy
        }
    }

    func pause(_ wait: Instant.Duration) async { try? await core.loop.sleep(for: wait) }

    /// Every worker says it, because each sees the same holds.
    private func say(_ count: Int) {
        if count > held {
            core.log.warning(
                "requests are held back: codes like theirs were sent and not used; SELECT * FROM otp.fraud_status shows why",
                metadata: [LogKeys.count: "\(count)"])
        } else {
            core.log.info("a hold has ended", metadata: [LogKeys.count: "\(count)"])
        }
    }
}

/// What the reviewer asks of a connection.
protocol FraudDatabase: Sendable {
    func reviewFraud() async throws(PostgresError) -> ReviewFraud.Reviewed
}

extension Connection: FraudDatabase {
    nonisolated func reviewFraud() async throws(PostgresError) -> ReviewFraud.Reviewed {
        try await ReviewFraud.run(on: self, deadline: .now() + Times.statement)
    }
}
