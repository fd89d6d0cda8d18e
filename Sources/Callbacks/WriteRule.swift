import EventLoop
import Postgres

/// What to do with callbacks that could not be written. Pure.
enum WriteRule {
    enum Action: Equatable {
        /// The same again, after so many milliseconds. All others wait, because they would fail in the same way.
        case again(after: Int64)
        /// Two halves, each by itself: one row must not hold up the others.
        case halve
        /// Set aside for so many milliseconds, while the others are written.
        case later(after: Int64)
        /// Given up: its message is polled.
        case drop
    }

    /// Tries of a whole batch before its parts are tried by themselves.
    static let tries = 3
    /// Tries of one callback that the database refuses, over about two minutes.
    static let triesAlone = 8

    /// - Parameters:
    ///   - count: the callbacks that failed together.
    ///   - tries: how often they have failed so, this time included.
    static func decide(_ error: PostgresError, count: Int, tries: Int) -> Action {
        switch error {
        case .server(let refusal):
            switch refusal.kind {
            case .conflict where tries < Self.tries: .again(after: 0)
            case .unavailable where tries < Self.tries, .misconfigured where tries < Self.tries: .again(after: 1000)
            // A lock was not granted in time, or the server is still unavailable: that will end.
            case .conflict, .locked, .unavailable, .misconfigured: count > 1 ? .halve : .later(after: wait(tries))
            case .invalidValue: count > 1 ? .halve : .drop
            case .other: count > 1 ? .halve : tries < triesAlone ? .later(after: wait(tries)) : .drop
            }
        case .lost, .deadline, .canceled, .connect, .settings, .unsuitable, .misuse: .again(after: 100)
        }
    }

    private static let backoff = ExponentialBackoff(first: .milliseconds(500), longest: .seconds(30))

    /// In milliseconds.
    private static func wait(_ tries: Int) -> Int64 { backoff.delay(after: tries).millisecondsRoundedUp }
}
