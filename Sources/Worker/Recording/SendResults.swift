import EventLoop
import Postgres
import Queue

/// Results of one kind: messages that Twilio accepted, or ends without a message.
enum SendResults: Sendable, ResultBatch {
    case accepted(FinishAccepted)
    case unsent(FinishUnsent)

    var count: Int {
        switch self {
        case .accepted(let batch): batch.count
        case .unsent(let batch): batch.count
        }
    }

    var jobs: [Int64] {
        switch self {
        case .accepted(let batch): batch.jobs
        case .unsent(let batch): batch.jobs
        }
    }

    /// Whether a pause is given a job.
    var holds: Bool {
        switch self {
        case .accepted: false
        case .unsent(let batch): batch.holds
        }
    }

    /// For the log.
    var names: [(job: Int64, attempt: Int32, result: String)] {
        switch self {
        case .accepted(let batch): batch.names
        case .unsent(let batch): batch.names
        }
    }

    func halves() -> (SendResults, SendResults) {
        switch self {
        case .accepted(let batch):
            let (first, second) = batch.halves()
            return (.accepted(first), .accepted(second))
        case .unsent(let batch):
            let (first, second) = batch.halves()
            return (.unsent(first), .unsent(second))
        }
    }

    func separated(_ jobs: Set<Int64>) -> (of: SendResults, others: SendResults) {
        switch self {
        case .accepted(let batch):
            let (of, others) = batch.separated(jobs)
            return (.accepted(of), .accepted(others))
        case .unsent(let batch):
            let (of, others) = batch.separated(jobs)
            return (.unsent(of), .unsent(others))
        }
    }

    mutating func forgetPlaces() {
        guard case .accepted(var batch) = self else { return }
        batch.forgetPlaces()
        self = .accepted(batch)
    }

    /// Writes them. Returns the surplus: messages and ids beyond one result a job.
    func write(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError)
        -> FinishAccepted.Surplus
    {
        switch self {
        case .accepted(let batch): return try await batch.run(on: connection, worker: worker, deadline: deadline)
        case .unsent(let batch):
            let takenIDs = try await batch.run(on: connection, worker: worker, deadline: deadline)
            return FinishAccepted.Surplus(all: 0, second: 0, takenIDs: takenIDs)
        }
    }
}

/// What the recorder asks of a connection.
protocol ResultDatabase: Sendable {
    /// Writes results of one kind. Returns the surplus: messages and ids beyond one result a job.
    func write(_ results: SendResults, worker: Int64) async throws(PostgresError) -> FinishAccepted.Surplus
    /// Which of these jobs another session holds.
    func locked(_ jobs: [Int64]) async throws(PostgresError) -> Set<Int64>
}

extension Connection: ResultDatabase {
    nonisolated func write(_ results: SendResults, worker: Int64) async throws(PostgresError) -> FinishAccepted.Surplus
    {
        try await results.write(on: self, worker: worker, deadline: .now() + Times.statement)
    }

    nonisolated func locked(_ jobs: [Int64]) async throws(PostgresError) -> Set<Int64> {
        try await FindLocked.run(on: self, jobs, deadline: .now() + Times.statement)
    }
}
