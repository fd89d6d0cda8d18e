public import EventLoop
public import Postgres

/// Reads whether anybody works: living workers, what is due, the last acceptance, the pauses.
///
/// `messages_accepted_at` serves the last acceptance, `send_jobs_due` what is due.
public enum ReadActivity {
    static let sql = """
        SELECT (SELECT count(*) FROM otp.worker_status
                 WHERE heartbeat_at > clock_timestamp() - interval '30 seconds' AND state <> 'stopped'),
               (SELECT string_agg(DISTINCT version, ',') FROM otp.worker_status
                 WHERE heartbeat_at > clock_timestamp() - interval '30 seconds' AND state <> 'stopped'
                   AND version ~ '^[A-Za-z0-9.+-]+$'),
               (SELECT (extract(epoch FROM clock_timestamp() - max(heartbeat_at)))::float8 FROM otp.worker_status),
               (SELECT count(*) FROM otp.send_jobs WHERE state = 'queued' AND due_at <= now()),
               (SELECT (extract(epoch FROM now() - min(due_at)))::float8
                  FROM otp.send_jobs WHERE state = 'queued' AND due_at <= now()),
               (SELECT (extract(epoch FROM clock_timestamp() - max(accepted_at)))::float8 FROM otp.messages)
        """
    static let pauses = "SELECT scope, reason, remedy, held FROM otp.pause_status ORDER BY scope LIMIT 20"

    /// A pause in force.
    public struct Pause: Sendable, Equatable {
        public var scope: String
        public var reason: String
        public var remedy: String?
        /// Jobs that wait for it; nil of a worker's own.
        public var held: Int?

        public init(scope: String, reason: String, remedy: String?, held: Int?) {
            self.scope = scope
            self.reason = reason
            self.remedy = remedy
            self.held = held
        }
    }

    /// What was read.
    public struct Activity: Sendable, Equatable {
        public var workersAlive: Int
        /// Versions of otpd that they run.
        public var versions: [String]
        /// Seconds since the last heartbeat of any worker.
        public var lastHeartbeat: Double?
        public var due: Int
        /// How long the oldest of these has been due, in seconds.
        public var oldestDue: Double?
        /// Seconds since Twilio last accepted a message.
        public var lastAccepted: Double?
        public var pauses: [Pause]

        public init(
            workersAlive: Int, versions: [String], lastHeartbeat: Double?, due: Int, oldestDue: Double?,
            lastAccepted: Double?, pauses: [Pause]
        ) {
            self.workersAlive = workersAlive
            self.versions = versions
            self.lastHeartbeat = lastHeartbeat
            self.due = due
            self.oldestDue = oldestDue
            self.lastAccepted = lastAccepted
            self.pauses = pauses
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Activity {
        let rows = try await DoctorQuery.rows(sql, on: connection, deadline: deadline)
        let paused = try await DoctorQuery.rows(pauses, on: connection, deadline: deadline)
        var pauses: [Pause] = []
        for row in 0..<paused.rowCount {
            pauses.append(
                Pause(
                    scope: try paused.string(row, 0), reason: try paused.stringIfPresent(row, 1) ?? "",
                    remedy: try paused.stringIfPresent(row, 2), held: try paused.int64IfPresent(row, 3).map { Int($0) })
            )
        }
        return Activity(
            workersAlive: Int(try rows.int64(0, 0)), versions: try rows.names(0, 1),
            lastHeartbeat: try rows.doubleIfPresent(0, 2), due: Int(try rows.int64(0, 3)),
            oldestDue: try rows.doubleIfPresent(0, 4), lastAccepted: try rows.doubleIfPresent(0, 5), pauses: pauses)
    }
}
