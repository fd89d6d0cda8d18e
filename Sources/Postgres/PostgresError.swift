/// What is known of a statement that did not come back with a result.
public enum StatementFate: Sendable, Equatable {
    /// It never left this program.
    case notSent
    /// The server said that it undid it.
    case rolledBack
    /// It may have been carried out or not: only the database knows.
    case unknown

    var words: String {
        switch self {
        case .notSent: "It had not been sent, so nothing was done."
        case .rolledBack: "The server cancelled it, so nothing was done."
        case .unknown: "It may have been carried out or not: look in the database before doing it again."
        }
    }
}

/// Why a connection could not be opened.
public struct ConnectFailure: Sendable, Equatable {
    /// One address that was tried, or one name that could not be resolved.
    public struct Attempt: Sendable, Equatable {
        /// Host, address and port as a person would write them.
        public var target: String
        /// libpq's or the resolver's words, without the password.
        public var reason: String
    }
    /// In the order they were tried.
    public var attempts: [Attempt]

    var words: String {
        // A name that leads to several addresses often fails the same way at each.
        var lines: [String] = []
        for attempt in attempts {
            let line = attempt.reason.contains(attempt.target) ? attempt.reason : "\(attempt.target): \(attempt.reason)"
            if !lines.contains(line) { lines.append(line) }
        }
        let all = lines.joined(separator: " | ")
        if all.contains("unsupported startup parameter") {
            return all + ". This is PgBouncer refusing session options, which carry settings and may carry a secret"
                + " (its ignore_startup_parameters would only drop them): let DATABASE_URL lead to PostgreSQL directly."
        }
        if all.contains("password authentication failed") || all.contains("no password supplied") {
            return all + ". Check user and password in DATABASE_URL, PGPASSWORD or the password file."
        }
        if all.contains("does not exist") { return all + ". Check the names of database and user in DATABASE_URL." }
        return all + ". Check that PostgreSQL runs there and that DATABASE_URL (or PGHOST, PGPORT) names it."
    }
}

/// A connection that ended, and what that means for the statement at hand.
public struct Loss: Sendable, Equatable {
    /// Why, in libpq's, the server's or this program's words.
    public var reason: String
    /// What the server said last, if it said farewell.
    public var farewell: ServerError?
    /// What is known of the statement.
    public var outcome: StatementFate
}

/// What can go wrong with PostgreSQL. Each prints what happened, why, and what to do; never a parameter or a password.
public enum PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The connection settings can't be used.
    case settings(String)
    /// No connection could be opened.
    case connect(ConnectFailure)
    /// The server refused the statement; the connection lives on.
    case server(ServerError)
    /// The connection has ended.
    case lost(Loss)
    /// The time given to the call is over.
    case deadline(StatementFate)
    /// The calling task was cancelled.
    case cancelled(StatementFate)
    /// A session's `onConnect` found a database that this program may not work with; says why and what to do.
    case unsuitable(String)
    /// The calling code asked for something this module does not do, or for a value that is not there.
    case misuse(String)

    public var description: String {
        switch self {
        case .settings(let reason): "The database settings can't be used: \(reason)"
        case .connect(let failure): "No connection to PostgreSQL: \(failure.words)"
        case .server(let error): "PostgreSQL refused the statement: \(error)"
        case .lost(let loss): "The connection to PostgreSQL was lost: \(loss.reason). \(loss.outcome.words)"
        case .deadline(let fate): "PostgreSQL did not answer in time. \(fate.words)"
        case .cancelled(let fate): "The statement was given up by this program. \(fate.words)"
        case .unsuitable(let reason): reason
        case .misuse(let reason): "A mistake in this program: \(reason)"
        }
    }

    /// Whether a connection that stood has ended. Whether the database is away shows when the next one is opened.
    public var isLoss: Bool {
        switch self {
        case .lost: true
        case .settings, .connect, .server, .deadline, .cancelled, .unsuitable, .misuse: false
        }
    }

    /// The server's SQLSTATE, if it is the server that spoke.
    public var sqlstate: String? {
        switch self {
        case .server(let error): error.sqlstate
        case .lost(let loss): loss.farewell?.sqlstate
        case .settings, .connect, .deadline, .cancelled, .unsuitable, .misuse: nil
        }
    }
}
