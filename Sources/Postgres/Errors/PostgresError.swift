/// What is certain about a statement that returned no result.
public enum StatementFate: Sendable, Equatable {
    /// It never left this program.
    case notSent
    /// The server reported that it was undone.
    case rolledBack
    /// It may have taken effect or not. Only the database can tell.
    case unknown

    var message: String {
        switch self {
        case .notSent: "It had not been sent, so nothing was done."
        case .rolledBack: "The server canceled it, so nothing was done."
        case .unknown: "It may have taken effect. Look in the database before you repeat it."
        }
    }
}

/// A connection that ended, and what that means for the current statement.
public struct Loss: Sendable, Equatable {
    /// The reason, in the words of libpq, the server or this program.
    public var reason: String
    /// The server's last error, if it sent one.
    public var lastError: ServerError?
    /// What is certain about the statement.
    public var outcome: StatementFate
    /// Whether it ended because the server did not answer in time.
    public var isUnanswered = false

    public init(reason: String, lastError: ServerError?, outcome: StatementFate, isUnanswered: Bool = false) {
        self.reason = reason
        self.lastError = lastError
        self.outcome = outcome
        self.isUnanswered = isUnanswered
    }
}

/// An error of PostgreSQL or of its use. Each prints what happened, why, and what to do; never a parameter or a
/// password.
public enum PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The connection settings are invalid.
    case settings(String)
    /// No connection could be opened.
    case connect(ConnectFailure)
    /// The server refused the statement. The connection stays open.
    case server(ServerError)
    /// The connection has ended.
    case lost(Loss)
    /// The call's deadline has passed.
    case deadline(StatementFate)
    /// The calling task was canceled.
    case canceled(StatementFate)
    /// A session's `onConnect` found a database that this program must not use; says why and what to do.
    case unsuitable(String)
    /// The calling code asked for something that this module does not support, or for a missing value.
    case misuse(String)

    public var description: String {
        switch self {
        case .settings(let reason): "invalid database settings: \(reason)"
        case .connect(let failure): "cannot connect to PostgreSQL: \(failure.message)"
        case .server(let error): "PostgreSQL refused the statement: \(error)"
        case .lost(let loss): "lost the connection to PostgreSQL: \(loss.reason). \(loss.outcome.message)"
        case .deadline(let fate): "PostgreSQL did not answer in time. \(fate.message)"
        case .canceled(let fate): "otpd gave the statement up. \(fate.message)"
        case .unsuitable(let reason): reason
        case .misuse(let reason): "internal error: \(reason)"
        }
    }

    /// Whether the database can be reached but refuses this role. A password, a grant or pg_hba.conf fixes it.
    public var isRefusalOfRole: Bool {
        switch self {
        case .server(let error): error.sqlstate == "42501"
        case .connect(let failure): failure.cause <= .privilege
        case .settings, .lost, .deadline, .canceled, .unsuitable, .misuse: false
        }
    }

    /// Whether an open connection has ended. Only the next attempt shows whether the database is unreachable.
    public var isLoss: Bool {
        switch self {
        case .lost: true
        case .settings, .connect, .server, .deadline, .canceled, .unsuitable, .misuse: false
        }
    }

    /// Whether the server ended an idle session: 57P05, `idle_session_timeout` (PostgreSQL 14 and later).
    public var isIdleTimeout: Bool { sqlstate == "57P05" }

    /// The server's SQLSTATE, if the server sent one.
    public var sqlstate: String? {
        switch self {
        case .server(let error): error.sqlstate
        case .lost(let loss): loss.lastError?.sqlstate
        case .settings, .connect, .deadline, .canceled, .unsuitable, .misuse: nil
        }
    }
}
