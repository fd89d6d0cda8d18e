import EventLoop
import OTP
import Postgres
import Queue

/// What the claimer asks of a connection.
protocol ClaimDatabase: ResultDatabase {
    /// Claims at most `limit` jobs until the lease, counted from `began` on the local clock.
    func claim(
        limit: Int, _ scan: Claim.Scan, quarantined: Bool, channels: [Channel], worker: Int64, keys: CodeKeys,
        at began: Instant
    ) async throws(PostgresError) -> ClaimedJobs
    /// The jobs that are `worker`'s in the database, without those that it has in hand.
    func findLost(worker: Int64, inHand: [Int64]) async throws(PostgresError) -> [LostJob]
    /// Which of these messages the database knows.
    func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID>
    /// Marks attempts unknown that the database has lost; how many there were.
    func recall(_ attempts: RecallUnknown, worker: Int64) async throws(PostgresError) -> Int
}

extension Connection: ClaimDatabase {
    nonisolated func claim(
        limit: Int, _ scan: Claim.Scan, quarantined: Bool, channels: [Channel], worker: Int64, keys: CodeKeys,
        at began: Instant
    ) async throws(PostgresError) -> ClaimedJobs {
        try await Claim.run(
            on: self, limit: limit, scan, quarantined: quarantined, channels: channels, worker: worker, keys: keys,
            lease: Times.lease,
            deadline: began + Times.statement)
    }

    nonisolated func findLost(worker: Int64, inHand: [Int64]) async throws(PostgresError) -> [LostJob] {
        try await FindLost.run(on: self, worker: worker, inHand: inHand, deadline: .now() + Times.statement)
    }

    nonisolated func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID> {
        try await KnownMessages.run(on: self, sids, deadline: .now() + Times.statement)
    }

    nonisolated func recall(_ attempts: RecallUnknown, worker: Int64) async throws(PostgresError) -> Int {
        try await attempts.run(on: self, worker: worker, deadline: .now() + Times.statement)
    }
}
