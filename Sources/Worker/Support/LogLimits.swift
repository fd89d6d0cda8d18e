import EventLoop
import Postgres
import Synchronization

/// Remembers the last error that was logged, so that a repeated one is logged once, and again after a change.
struct LogOnce {
    private var last: String?

    /// Whether `error` differs from the last one.
    mutating func isNew(_ error: PostgresError) -> Bool {
        let words = "\(error)"
        defer { last = words }
        return words != last
    }

    /// What failed has succeeded: the next error is new.
    mutating func succeeded() { last = nil }
}

/// Lets one line through per second, or per `span`, of what can happen a thousand times, and counts the rest. Pure.
struct LogThrottle: Sendable {
    private let span: Instant.Span
    private var saidAt: Instant?
    private var unsaid = 0

    init(every span: Instant.Span = .seconds(1)) { self.span = span }

    /// Counts one more; how many to speak of now, nil when it was said within the last `span`.
    mutating func count(at now: Instant) -> Int? {
        unsaid += 1
        if let saidAt, now - saidAt < span { return nil }
        defer { unsaid = 0 }
        saidAt = now
        return unsaid
    }
}
