public import EventLoop
public import Postgres
import Tracing

/// Writes the row of a receiver that runs alone. It does not count as a live worker. The primary key serves it.
public enum ReceiverHeartbeat {
    static let statement = Statement(
        "otpd_receiver_heartbeat",
        """
        INSERT INTO otp.worker_status AS w
               (worker_id, kind, host, pid, version, state, database_state, callbacks_received, callbacks_refused,
                callbacks_dropped, callbacks_written, spans_exported, spans_dropped, spans_failed)
        VALUES ($1, 'callbacks', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (worker_id) DO UPDATE
           SET heartbeat_at = now(), state = excluded.state, reason = NULL, remedy = NULL,
               database_state = excluded.database_state, callbacks_received = excluded.callbacks_received,
               callbacks_refused = excluded.callbacks_refused, callbacks_dropped = excluded.callbacks_dropped,
               callbacks_written = excluded.callbacks_written, spans_exported = excluded.spans_exported,
               spans_dropped = excluded.spans_dropped, spans_failed = excluded.spans_failed
        """,
        [.int8, .text, .int4, .text, .text, .text, .int8, .int8, .int8, .int8, .int8, .int8, .int8])

    /// Writes the state and the counts of `report`. The rest of the report applies to workers only.
    public static func run(
        on connection: Connection, worker: Int64, _ report: WorkerReport, deadline: Instant
    ) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(report.host)
        parameters.append(report.pid)
        parameters.append(report.version)
        parameters.append(report.state.rawValue)
        parameters.append(report.databaseState)
        let counts = report.callbacks
        for count in [counts?.received, counts?.refused, counts?.dropped, counts?.written] { parameters.append(count) }
        for count in [report.spans?.exported, report.spans?.dropped, report.spans?.failed] { parameters.append(count) }
        // A cancellation waits for the statement, because the connection is still needed for the final heartbeat.
        _ = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .drop)
    }
}
