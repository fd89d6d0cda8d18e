import EventLoop
import Synchronization

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

/// The same, of a loop that is a value.
final class SharedLogThrottle: Sendable {
    private let throttle = Mutex(LogThrottle())

    func count(at now: Instant) -> Int? { throttle.withLock { $0.count(at: now) } }
}
