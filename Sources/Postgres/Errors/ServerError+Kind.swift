extension ServerError {
    /// The meaning of a refusal for a retry: whether the same statement may succeed, and whether one row is at fault.
    public enum Kind: Sendable, Hashable {
        /// The server undid the transaction in favor of another one. The same statement may succeed at once.
        case conflict
        /// Another session has held a row for longer than `lock_timeout`. Other rows may be free.
        case locked
        /// The server takes no writes at present: it is full, read-only, starting, or shutting down.
        case unavailable
        /// The role lacks a privilege, or an object is missing or differs. A GRANT or a migration fixes it.
        case misconfigured
        /// The values themselves are at fault. The same statement always fails.
        case invalidValue
        /// Any other error. It may concern one row alone.
        case other
    }

    /// By SQLSTATE alone, because messages are in the server's language (PostgreSQL, Appendix A).
    public var kind: Kind {
        switch (sqlstate.prefix(2), sqlstate) {
        // Another session holds the row.
        case (_, "55P03"): .locked
        // A statement timeout of the role, or a cancellation by an operator: fewer rows may pass.
        case (_, "57014"): .other
        // Transaction rollback: a serialization failure or a deadlock.
        case ("40", _): .conflict
        // Connection exception: a pooler or a proxy has lost its server.
        case ("08", _): .unavailable
        // Invalid transaction state: a read-only server, or a transaction that is aborted or timed out.
        case ("25", _): .unavailable
        // Insufficient resources: disk, memory, connections.
        case ("53", _): .unavailable
        // Object not in prerequisite state: an upgrade, or a publication without a replica identity.
        case ("55", _): .unavailable
        // Operator intervention: the server shuts down, starts, or the database was dropped.
        case ("57", _): .unavailable
        // System error: input and output, missing files.
        case ("58", _): .unavailable
        // Syntax error or access rule violation: no privilege; no such table, column or function.
        case ("42", _): .misconfigured
        // Invalid schema name: the schema is gone.
        case ("3F", _): .misconfigured
        // Data exception; integrity constraint violation; the schema's own errors, which are about values.
        case ("22", _), ("23", _), ("OT", _): .invalidValue
        // A trigger's own error (P0), a limit of the program (54), a damaged page (XX), …
        default: .other
        }
    }
}
