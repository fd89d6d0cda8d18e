/// A failure of a test's environment, or an event that did not happen in time.
public struct Trouble: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// An addition to a failure's message, such as the last lines of the programs that the test runs.
public enum Diary {
    /// Set around a test.
    @TaskLocal public static var current: (@Sendable () -> String)?

    static var text: String { current.map { "\n\($0())" } ?? "" }
}

/// Waits until `condition` gives a value, and checks it every few milliseconds. An error names `what` if it does not
/// come in time.
///
/// Waits two minutes at least, whatever `span` is, because a busy machine delays everything. A test should fail because
/// of a wrong result, not a late one.
@discardableResult
public func eventually<T>(
    _ what: String, within span: Duration = .seconds(120), _ condition: () async throws -> T?
) async throws -> T {
    let span = max(span, .seconds(120))
    let end = ContinuousClock.now + span
    while true {
        if let value = try await condition() { return value }
        guard ContinuousClock.now < end else { throw Trouble("not within \(span): \(what)\(Diary.text)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Checks that a condition lasts: fails as soon as `condition` is false, and returns after `span`.
public func stays(_ what: String, for span: Duration, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + span
    while ContinuousClock.now < end {
        guard try await condition() else { throw Trouble("no longer: \(what)\(Diary.text)") }
        try await Task.sleep(for: .milliseconds(50))
    }
}
