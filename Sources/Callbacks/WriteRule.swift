import Postgres

/// What to do with callbacks that could not be written. Pure.
enum WriteRule {
    enum Step: Equatable {
        /// The same once more, after so many milliseconds.
        case again(after: Int64)
        /// Two halves, each by itself: one row must not hold up the others.
        case halve
        /// Behind everything else that waits.
        case later
        /// It can never be written.
        case drop
    }

    static func decide(_ error: PostgresError, count: Int) -> Step {
        switch error {
        case .server(let refusal):
            switch refusal.sqlstate.prefix(2) {
            // Two statements met, or a lock was not to be had in time.
            case "40": .again(after: 0)
            case "55": count > 1 ? .halve : .later
            // The values themselves.
            case "22", "23", "OT": count > 1 ? .halve : .drop
            // No right, no such function, a server that shuts down: not a row's fault.
            default: .again(after: 1000)
            }
        case .lost, .deadline, .cancelled, .connect, .settings, .unsuitable, .misuse: .again(after: 100)
        }
    }
}
