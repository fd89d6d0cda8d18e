public import EventLoop
public import Postgres

/// Finds the grants that the roles `otp_worker` and `otp_web` lack. Every role may read this, even without USAGE of the
/// schema (so it uses pg_class instead of to_regclass). The names are otpd's own and need no quotes. An object that
/// does not exist counts as not granted.
public enum ReadMissingGrants {
    static func sql(_ grants: [WorkerGrant]) -> String {
        let wanted = grants.enumerated().map { index, grant in
            "(\(index), '\(grant.role)', '\(grant.kind.rawValue)', '\(grant.name)', '\(grant.privilege)', "
                + (grant.column.map { "'\($0)'" } ?? "NULL") + ")"
        }
        return """
            SELECT w.index
              FROM (VALUES \(wanted.joined(separator: ", "))) AS w(index, role, kind, name, privilege, column_name)
              LEFT JOIN pg_class c ON c.relnamespace = to_regnamespace('otp') AND c.relname = w.name
             WHERE NOT coalesce(
                       CASE
                       WHEN w.kind = 'SCHEMA' THEN has_schema_privilege(w.role, to_regnamespace(w.name)::oid, w.privilege)
                       WHEN w.kind = 'SEQUENCE' THEN has_sequence_privilege(w.role, c.oid, w.privilege)
                       WHEN w.kind = 'FUNCTION'
                       THEN (SELECT bool_and(has_function_privilege(w.role, p.oid, w.privilege))
                               FROM pg_proc p
                              WHERE p.pronamespace = to_regnamespace('otp') AND p.proname = w.name)
                       WHEN w.column_name IS NULL THEN has_table_privilege(w.role, c.oid, w.privilege)
                       ELSE (SELECT has_column_privilege(w.role, a.attrelid, a.attnum, w.privilege)
                               FROM pg_attribute a
                              WHERE a.attrelid = c.oid AND a.attname = w.column_name)
                       END, false)
             ORDER BY w.index
            """
    }

    /// The missing grants, in the order of `WorkerGrant.everybodys`.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [WorkerGrant] {
        let rows = try await TextQuery.rows(sql(WorkerGrant.everybodys), on: connection, deadline: deadline)
        return try rows.map { row throws(PostgresError) in WorkerGrant.everybodys[try row.next()] }
    }
}
