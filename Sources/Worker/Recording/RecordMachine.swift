import EventLoop
import Postgres

/// A batch of results that can be written at once or in parts.
protocol ResultBatch: Sendable {
    var count: Int { get }
    /// The jobs of its results.
    var jobs: [Int64] { get }
    /// Two batches that together are this one.
    func halves() -> (Self, Self)
    /// The results of these jobs, and the others.
    func separated(_ jobs: Set<Int64>) -> (of: Self, others: Self)
    /// The rows may lie elsewhere now: the database may be another server.
    mutating func forgetPlaces()
}

/// Why the database did not take a batch of results.
enum RecordFailure: Sendable, Equatable {
    /// There is no connection; the batch never left.
    case noConnection
    /// The connection ended, or the deadline passed, while the statement ran.
    case interrupted
    /// Another session holds a row.
    case locked
    /// The server chose between this statement and another one: the same again may succeed.
    case conflict
    /// The server takes no writes now: it is full, read-only, or shutting down.
    case serverTrouble
    /// Any other error: perhaps of one row alone.
    case refused

    /// What a refusal of the server means for the batch.
    init(_ kind: ServerError.Kind) {
        self =
            switch kind {
            case .locked: .locked
            case .conflict: .conflict
            case .unavailable: .serverTrouble
            case .misconfigured, .invalidValue, .other: .refused
            }
    }
}

/// Decides what the recorder writes next, and what to do with results that the database does not take. Pure.
///
/// A new batch is written as a whole. A batch that fails is halved until the result at fault is alone, and that one is
/// set aside: it is tried again after waits that double. Between two tries of what was set aside, new results are
/// written, so that no row holds up another for longer than one statement. Which rows are locked is asked of the
/// database, without a wait.
///
/// Nothing is dropped silently: a result that the database refuses for `giveUpAfter` is given up with an error. Results
/// behind a lock, or of a database that takes no writes, are kept for as long as the worker runs.
struct RecordMachine<Batch: ResultBatch> {
    enum Step {
        /// Take over what has gathered since the last batch (`take`).
        case gather
        /// Write this, then call `wrote` or `failed`.
        case write(Batch)
        /// Ask which of these jobs are locked now, then call `found`.
        case findLocked([Int64])
        /// Wait for new results, at most until then.
        case wait(until: Instant?)
    }

    /// What to do with the batch that failed.
    enum Answer: Equatable {
        /// The same again, after a moment. Everything else waits, since it would fail likewise.
        case again(after: Instant.Duration)
        /// Ask which of these jobs are locked, then call `separate`.
        case findLocked([Int64])
        /// It was halved: `next` brings the parts.
        case halved
        /// Its one result was set aside.
        case setAside
    }

    private struct Entry {
        var batch: Batch
        var due: Instant
        /// Never tried, or tried as a whole only.
        var isNew = false
        /// Failed tries in a row: of the whole batch while it is new, of a single result once it is set aside.
        var failures = 0
        /// Another session held its row when it was last looked at.
        var isLocked = false
        /// Its locked rows have been separated from it.
        var isSeparated = false
        /// Since when the database refuses this one result.
        var refusedSince: Instant?
    }

    /// Tries of a whole batch before its parts are tried by themselves.
    static var tries: Int { 3 }
    /// Each further wait is twice as long.
    static var firstWait: Instant.Duration { .milliseconds(250) }
    static var longestWait: Instant.Duration { .seconds(30) }
    /// Whether locks are still held is asked for all of them at once, and so more often.
    static var longestLockWait: Instant.Duration { .seconds(2) }
    static var longestDrainWait: Instant.Duration { .milliseconds(500) }
    /// How long a refused result is tried again.
    static var giveUpAfter: Instant.Duration { .seconds(3600) }

    private var entries: [Entry] = []
    /// What is being written.
    private var current: Entry?
    private var isDraining = false
    private var newWasLast = false

    init() {}

    /// Results that are being written, were set aside, or are parts of batches that failed.
    var count: Int { entries.reduce(current?.batch.count ?? 0) { $0 + $1.batch.count } }
    /// Their jobs.
    var jobs: [Int64] { (current?.batch.jobs ?? []) + entries.flatMap(\.batch.jobs) }
    /// Results that have failed.
    var setAside: Int { entries.reduce(0) { $0 + ($1.isNew ? 0 : $1.batch.count) } }

    /// What to do now, where results `haveGathered`.
    mutating func next(haveGathered: Bool, at now: Instant) -> Step {
        let new = entries.firstIndex { $0.isNew }
        let old = entries.indices.filter { !entries[$0].isNew }.min { entries[$0].due < entries[$1].due }
        if let old, entries[old].due <= now, newWasLast || (new == nil && !haveGathered) {
            newWasLast = false
            if entries[old].isLocked {
                return .findLocked(entries.filter { $0.isLocked && $0.due <= now }.flatMap(\.batch.jobs))
            }
            return begin(old)
        }
        newWasLast = true
        if let new { return begin(new) }
        return haveGathered ? .gather : .wait(until: old.map { entries[$0].due })
    }

    /// New results, in the order in which they are to be written.
    mutating func take(_ batches: [Batch], at now: Instant) {
        for batch in batches where batch.count > 0 { entries.append(Entry(batch: batch, due: now, isNew: true)) }
        // What was gathered is written before anything that was set aside.
        newWasLast = false
    }

    /// The database may be another server, where other rows lie in the same places.
    mutating func forgetPlaces() {
        current?.batch.forgetPlaces()
        for index in entries.indices { entries[index].batch.forgetPlaces() }
    }

    /// The batch is in the database.
    mutating func wrote() { current = nil }

    /// The batch was not written.
    mutating func failed(_ failure: RecordFailure, at now: Instant) -> Answer {
        guard var entry = current else { preconditionFailure("nothing was being written") }
        entry.failures += 1
        let mayRepeat = entry.isNew && entry.failures < Self.tries
        switch failure {
        case .noConnection: return .again(after: .milliseconds(100))
        case .locked where !entry.isSeparated: return .findLocked(entry.batch.jobs)
        case .interrupted where mayRepeat:
            current = entry
            return .again(after: .milliseconds(100))
        case .conflict where mayRepeat:
            current = entry
            return .again(after: .seconds(0))
        case .serverTrouble where mayRepeat:
            current = entry
            return .again(after: .seconds(1))
        case .interrupted, .conflict, .serverTrouble, .locked, .refused: break
        }
        current = nil
        guard entry.batch.count == 1 else {
            let (first, second) = entry.batch.halves()
            for half in [first, second] {
                entries.append(Entry(batch: half, due: now, isSeparated: entry.isSeparated))
            }
            return .halved
        }
        if entry.isNew { entry.failures = 1 }
        entry.isNew = false
        entry.isSeparated = false
        entry.refusedSince = failure == .refused ? entry.refusedSince ?? now : nil
        postpone(&entry, at: now)
        entries.append(entry)
        return .setAside
    }

    /// Which jobs of the batch that failed are locked: their results are set aside, and how many those were. The rest is
    /// written again.
    mutating func separate(locked: Set<Int64>, at now: Instant) -> Int {
        guard var entry = current else { preconditionFailure("nothing was being written") }
        let (held, rest) = entry.batch.separated(locked)
        for part in Self.singles(held) {
            var single = Entry(batch: part, due: now, failures: 1, isLocked: true)
            postpone(&single, at: now)
            entries.append(single)
        }
        entry.batch = rest
        entry.isSeparated = true
        current = rest.count > 0 ? entry : nil
        return held.count
    }

    /// What is still to be written after `separate`.
    var rest: Batch? { current?.batch }

    /// Which of the jobs that `next` asked for are locked: they wait on, the others are written next.
    mutating func found(locked: Set<Int64>, at now: Instant) {
        for index in entries.indices where entries[index].isLocked && entries[index].due <= now {
            if entries[index].batch.jobs.contains(where: locked.contains) {
                entries[index].failures += 1
                postpone(&entries[index], at: now)
            } else {
                entries[index].isLocked = false
            }
        }
    }

    /// Results that the database has refused for too long; they are no longer tried.
    mutating func givenUp(at now: Instant) -> [Batch] {
        let over = entries.filter { Self.isOver($0, at: now) }
        if !over.isEmpty { entries.removeAll { Self.isOver($0, at: now) } }
        return over.map(\.batch)
    }

    /// The worker drains: everything is tried again soon and often.
    mutating func drain(at now: Instant) {
        isDraining = true
        for index in entries.indices { entries[index].due = min(entries[index].due, now) }
    }

    private static func isOver(_ entry: Entry, at now: Instant) -> Bool {
        entry.refusedSince.map { now - $0 >= giveUpAfter } ?? false
    }

    private mutating func begin(_ index: Int) -> Step {
        let entry = entries.remove(at: index)
        current = entry
        return .write(entry.batch)
    }

    private func postpone(_ entry: inout Entry, at now: Instant) {
        let longest =
            isDraining ? Self.longestDrainWait : entry.isLocked ? Self.longestLockWait : Self.longestWait
        entry.due = now + ExponentialBackoff(first: Self.firstWait, longest: longest).delay(after: entry.failures)
    }

    private static func singles(_ batch: Batch) -> [Batch] {
        guard batch.count > 1 else { return batch.count == 1 ? [batch] : [] }
        let (first, second) = batch.halves()
        return singles(first) + singles(second)
    }
}
