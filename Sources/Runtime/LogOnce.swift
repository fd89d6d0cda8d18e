/// Keeps a loop that fails the same way again and again from logging more than one line. Pure.
///
///     var errors = LogOnce()
///     if errors.isNew("\(error)") { log.error("…") }      // the first of equal errors in a row
///     errors.reset()                                      // after a success: the next error is new
public struct LogOnce: Sendable {
    private var last: String?

    public init() {}

    /// Whether `text` differs from the last one since the start or the last reset.
    public mutating func isNew(_ text: String) -> Bool {
        defer { last = text }
        return text != last
    }

    /// The same, by the error's description.
    public mutating func isNew(_ error: some Error) -> Bool { isNew("\(error)") }

    /// Forgets the last text.
    public mutating func reset() { last = nil }
}
