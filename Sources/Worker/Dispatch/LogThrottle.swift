import EventLoop

/// Lets one line a second through of what can happen a thousand times, and counts the rest. Pure.
struct LogThrottle: Sendable {
    private var saidAt: Instant?
    private var unsaid = 0

    /// Counts one more; how many to speak of now, nil when it was said within the last second.
    mutating func count(at now: Instant) -> Int? {
        unsaid += 1
        if let saidAt, now - saidAt < .seconds(1) { return nil }
        defer { unsaid = 0 }
        saidAt = now
        return unsaid
    }
}
