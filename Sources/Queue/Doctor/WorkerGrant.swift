/// One thing that a role must be granted: `otp_worker` for a worker to work, `otp_web` for a backend to. Held against the schema's own grants by
/// `Tests/IntegrationTests/DoctorDatabaseTests.swift`.
public struct WorkerGrant: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case schema = "SCHEMA"
        case table = "TABLE"
        case sequence = "SEQUENCE"
        /// Every function of that name.
        case function = "FUNCTION"
    }

    /// Who must have it.
    public var role = "otp_worker"
    public let kind: Kind
    /// Without its schema; of the schema, its own.
    public let name: String
    /// `SELECT`, `EXECUTE`, ….
    public let privilege: String
    /// Of a table; nil for all of it.
    public let column: String?

    /// What an owner types to give it.
    public var statement: String {
        let object = kind == .schema ? "SCHEMA otp" : "\(kind == .table ? "" : "\(kind.rawValue) ")otp.\(name)"
        return "GRANT \(privilege)\(column.map { " (\($0))" } ?? "") ON \(object) TO \(role)"
    }

    /// All that are needed, of either role.
    public static var everybodys: [WorkerGrant] { all + web }

    /// Those of the web tier.
    public static let web: [WorkerGrant] =
        [WorkerGrant(role: "otp_web", kind: .schema, name: "otp", privilege: "USAGE", column: nil)]
        + [
            "id", "subject", "phone_number", "region", "purpose", "locale", "code", "expires_at", "client_ip",
        ].map { web("verifications", "INSERT", $0) }
        + ["id", "expires_at"].map { web("verifications", "SELECT", $0) }
        + ["id", "verification_id", "channel"].map { web("send_jobs", "INSERT", $0) }
        + ["id", "verification_id"].map { web("send_jobs", "SELECT", $0) }
        + [
            "request", "verify", "cancel", "delivery", "record_status", "to_e164", "verified_phones",
        ].map { WorkerGrant(role: "otp_web", kind: .function, name: $0, privilege: "EXECUTE", column: nil) }

    private static func web(_ table: String, _ privilege: String, _ column: String) -> WorkerGrant {
        WorkerGrant(role: "otp_web", kind: .table, name: table, privilege: privilege, column: column)
    }

    /// All that a worker needs.
    public static let all: [WorkerGrant] =
        [WorkerGrant(kind: .schema, name: "otp", privilege: "USAGE", column: nil)]
        + tables(
            "SELECT",
            [
                "schema_migrations", "send_jobs", "messages", "unsent_jobs", "worker_status", "pauses", "settings",
                "templates", "countries", "limits", "error_classes", "error_class_defaults", "delivery_status",
                "failures", "queue_status", "pause_status", "outcome_counts", "sender_rates", "spend_tally",
                "history", "history_quarters", "spend_today", "sent_twice", "limit_status", "refusals",
                "status_reports", "number_table",
            ])
        + tables("INSERT", ["messages", "unsent_jobs", "worker_status", "pauses", "outcome_counts", "spend_tally"])
        + tables(
            "UPDATE",
            [
                "send_jobs", "messages", "unsent_jobs", "worker_status", "pauses", "outcome_counts", "spend_tally",
                "status_reports",
            ])
        + tables("DELETE", ["send_jobs", "unsent_jobs", "worker_status", "pauses"])
        + [
            "id", "subject", "e164", "country", "region", "purpose", "locale", "sealed_code", "key_id", "created_at",
            "expires_at", "attempts", "verified_at", "canceled_at",
        ].map { WorkerGrant(kind: .table, name: "verifications", privilege: "SELECT", column: $0) }
        + [WorkerGrant(kind: .sequence, name: "worker_ids", privilege: "USAGE", column: nil)]
        + [
            "prune", "within_limits", "status_rank", "is_settled", "status_advances", "mask", "record_status",
            "check_budget", "message_cost", "record_history", "notify", "own_shard",
            "advance_sequences", "sequences_behind", "missing_rights",
        ].map { WorkerGrant(kind: .function, name: $0, privilege: "EXECUTE", column: nil) }

    private static func tables(_ privilege: String, _ names: [String]) -> [WorkerGrant] {
        names.map { WorkerGrant(kind: .table, name: $0, privilege: privilege, column: nil) }
    }
}
