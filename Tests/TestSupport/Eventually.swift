/// What a test's surroundings could not do, or what did not happen in time.
public struct Trouble: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What a failure's message adds: the last lines of the programs that the test runs, for instance.
public enum Diary {
    /// Set around a test.
    @TaskLocal public static var current: (@Sendable () -> String)?

    static var text: String { current.map { "\n\($0())" } ?? "" }
}

/// Waits until `condition` gives a value; looks every few milliseconds. `what` is said when it does not come in time.
///
/// Two minutes at least, whatever `span` is: on a busy machine everything is late, and a test fails by what it sees.
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

/// Watches that something stays as it is: fails as soon as `condition` is false, and returns after `span`.
public func stays(_ what: String, for span: Duration, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + span
    while ContinuousClock.now < end {
        guard try await condition() else { throw Trouble("no longer: \(what)\(Diary.text)") }
        try await Task.sleep(for: .milliseconds(50))
    }
}
