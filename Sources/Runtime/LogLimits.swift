public import EventLoop

/// Keeps a loop that fails the same way again and again from logging more than one line. Pure.
///
///     var errors = LogOnce()
///     if errors.isNew(error) { log.error("…") }      // the first of equal errors in a row
///     errors.succeeded()                             // the next error is new
public struct LogOnce: Sendable {
    private var last: String?

    public init() {}

    /// Whether `text` differs from the last one since the start or the last success.
    public mutating func isNew(_ text: String) -> Bool {
        defer { last = text }
        return text != last
    }

    /// The same, by the error's description.
    public mutating func isNew(_ error: some Error) -> Bool { isNew("\(error)") }

    /// The operation that failed has succeeded.
    public mutating func succeeded() { last = nil }
}

/// Lets one line per second, or per `span`, through for an event that can happen a thousand times, and counts the rest.
/// Pure.
public struct LogThrottle: Sendable {
    private let span: Instant.Duration
    private var loggedAt: Instant?
    private var unlogged = 0

    public init(every span: Instant.Duration = .seconds(1)) { self.span = span }

    /// Counts `number` more; how many to log now, nil when a line was logged within the last `span`.
    public mutating func count(_ number: Int = 1, at now: Instant) -> Int? {
        unlogged += number
        if let loggedAt, now - loggedAt < span { return nil }
        defer { unlogged = 0 }
        loggedAt = now
        return unlogged
    }
}
