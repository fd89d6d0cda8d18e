import Postgres

/// What to do with callbacks that could not be written. Pure.
enum WriteRule {
    enum Step: Equatable {
        /// The same once more, after so many milliseconds. Everything else waits, since it would fail likewise.
        case again(after: Int64)
        /// Two halves, each by itself: one row must not hold up the others.
        case halve
        /// Set aside for so many milliseconds, while the others are written.
        case later(after: Int64)
        /// Given up: the poller asks Twilio for it.
        case drop
    }

    /// Tries of a whole batch before its parts are tried by themselves.
    static let tries = 3
    /// Tries of one callback that the database refuses, over about two minutes.
    static let triesAlone = 8

    /// - Parameters:
    ///   - count: the callbacks that failed together.
    ///   - tries: how often they have failed so, this time included.
    static func decide(_ error: PostgresError, count: Int, tries: Int) -> Step {
        switch error {
        case .server(let refusal):
            switch refusal.sqlstate.prefix(2) {
            // Two statements met.
            case "40" where tries < Self.tries: .again(after: 0)
            // The server takes no writes now, or shuts down; a right or a function is missing. 57014 is a statement's timeout: a smaller batch may fit.
            case "08" where tries < Self.tries, "42" where tries < Self.tries, "53" where tries < Self.tries,
                "58" where tries < Self.tries:
                .again(after: 1000)
            case "57" where tries < Self.tries && refusal.sqlstate != "57014": .again(after: 1000)
            // A lock was not to be had in time, or the server stays so: that ends some day.
            case "08", "40", "42", "53", "55", "58": count > 1 ? .halve : .later(after: wait(tries))
            // The values themselves will never do.
            case "22", "23", "OT": count > 1 ? .halve : .drop
            // Any other error may be of one row alone: of a trigger, for example.
            default: count > 1 ? .halve : tries < triesAlone ? .later(after: wait(tries)) : .drop
            }
        case .lost, .deadline, .cancelled, .connect, .settings, .unsuitable, .misuse: .again(after: 100)
        }
    }

    /// Half a second, doubling to 30 s.
    private static func wait(_ tries: Int) -> Int64 { min(30_000, 500 << Int64(min(max(tries, 1) - 1, 10))) }
}
