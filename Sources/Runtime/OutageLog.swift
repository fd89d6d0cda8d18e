public import Postgres

/// Decides which state changes of a service's sessions are worth a log line: one line per change, and each error once,
/// although several sessions lose the same database. Pure.
public struct OutageLog<SessionName: Hashable & Sendable>: Sendable {
    /// What to log.
    public enum News: Sendable, Equatable {
        /// The session is connected.
        case connected
        /// The session's connection has ended. Servers, poolers and firewalls end idle connections: the next attempt shows
        /// whether this is an outage.
        case ended(PostgresError)
        /// The database is up and refuses the role. A password or a GRANT corrects that.
        case refused(PostgresError)
        /// The database cannot be reached.
        case away(PostgresError)
    }

    /// By session: whether it is connected. A session that has never reported is absent.
    private var isUp: [SessionName: Bool] = [:]
    /// What was logged since all sessions were connected.
    private var logged: Set<String> = []

    public init() {}

    /// What to log about `session`, which is in `state` now; nil for nothing.
    public mutating func news(of session: SessionName, _ state: SessionState) -> News? {
        switch state {
        case .connected:
            isUp[session] = true
            if isUp.values.allSatisfy(\.self) { logged = [] }
            return .connected
        case .connecting(_, let error?):
            let wasUp = isUp.updateValue(false, forKey: session) ?? false
            // A server may also end a session that has not yet set its own idle timeout.
            if error.isLoss, wasUp || error.isIdleTimeout {
                return logged.insert("ended").inserted ? .ended(error) : nil
            }
            // The text of a loss says what is known of the session's own statements, which differs between sessions.
            guard logged.insert(error.isLoss ? "lost" : "\(error)").inserted else { return nil }
            return error.isRefusalOfRole ? .refused(error) : .away(error)
        case .connecting(_, nil), .closed: return nil
        }
    }
}
