/// Waits until `condition` gives a value; looks every few milliseconds. `what` is said when it does not come in time. Two
/// minutes at least, whatever `span` is: on a busy machine everything is late, and a test fails by what it sees.
func eventually<T>(
    _ what: String, within span: Duration = .seconds(30), _ condition: () async throws -> T?
) async throws -> T {
    let end = ContinuousClock.now + max(span, .seconds(120))
    while true {
        if let value = try await condition() { return value }
        guard ContinuousClock.now < end else {
            throw Trouble("not within \(span): \(what)\n\(TestScope.current?.diary ?? "")")
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// Watches that something stays as it is: fails as soon as `condition` is false, and returns after `span`.
func stays(_ what: String, for span: Duration, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + span
    while ContinuousClock.now < end {
        guard try await condition() else { throw Trouble("no longer: \(what)\n\(TestScope.current?.diary ?? "")") }
        try await Task.sleep(for: .milliseconds(50))
    }
}
