/// What is known of a statement that did not come back with a result.
public enum StatementFate: Sendable, Equatable {
    /// It never left this program.
    case notSent
    /// The server said that it undid it.
    case rolledBack
    /// It may have been carried out or not: only the database knows.
    case unknown

    var message: String {
        switch self {
        case .notSent: "It had not been sent, so nothing was done."
        case .rolledBack: "The server canceled it, so nothing was done."
        case .unknown: "It may have been carried out or not: look in the database before doing it again."
        }
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
    /// Whether it ended because the server did not answer in time.
    public var isUnanswered = false

    public init(reason: String, farewell: ServerError?, outcome: StatementFate, isUnanswered: Bool = false) {
        self.reason = reason
        self.farewell = farewell
        self.outcome = outcome
        self.isUnanswered = isUnanswered
    }
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
    /// The calling task was canceled.
    case canceled(StatementFate)
    /// A session's `onConnect` found a database that this program may not work with; says why and what to do.
    case unsuitable(String)
    /// The calling code asked for something this module does not do, or for a value that is not there.
    case misuse(String)

    public var description: String {
        switch self {
        case .settings(let reason): "The database settings can't be used: \(reason)"
        case .connect(let failure): "No connection to PostgreSQL: \(failure.message)"
        case .server(let error): "PostgreSQL refused the statement: \(error)"
        case .lost(let loss): "The connection to PostgreSQL was lost: \(loss.reason). \(loss.outcome.message)"
        case .deadline(let fate): "PostgreSQL did not answer in time. \(fate.message)"
        case .canceled(let fate): "The statement was given up by this program. \(fate.message)"
        case .unsuitable(let reason): reason
        case .misuse(let reason): "A mistake in this program: \(reason)"
        }
    }

    /// Whether the database is there and does not take this role: a password, a grant or pg_hba.conf mends it.
    public var isRefusalOfRole: Bool {
        switch self {
        case .server(let error): error.sqlstate == "42501"
        case .connect(let failure): failure.cause <= .privilege
        case .settings, .lost, .deadline, .canceled, .unsuitable, .misuse: false
        }
    }

    /// Whether a connection that stood has ended. Whether the database is away shows when the next one is opened.
    public var isLoss: Bool {
        switch self {
        case .lost: true
        case .settings, .connect, .server, .deadline, .canceled, .unsuitable, .misuse: false
        }
    }

    /// The server's SQLSTATE, if it is the server that spoke.
    public var sqlstate: String? {
        switch self {
        case .server(let error): error.sqlstate
        case .lost(let loss): loss.farewell?.sqlstate
        case .settings, .connect, .deadline, .canceled, .unsuitable, .misuse: nil
        }
    }
}
