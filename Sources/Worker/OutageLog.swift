import Postgres

/// Which errors of a worker's two sessions are news. Both lose the same database, and the second one's word for it is not
/// logged.
struct OutageLog {
    private var isUp: [Bool: Bool] = [:]
    /// Since both were connected.
    private var said: Set<String> = []

    /// The session that listens, or the one that does not, is connected.
    mutating func connected(listens: Bool) {
        isUp[listens] = true
        if isUp[!listens] != false { said = [] }
    }

    /// It is not, and why; whether that was said already.
    mutating func isNew(_ error: PostgresError, listens: Bool) -> Bool {
        isUp[listens] = false
        // A connection that ended says what is known of its statements, which differs between the two.
        if case .lost = error { return said.insert("lost").inserted }
        return said.insert("\(error)").inserted
    }
}
