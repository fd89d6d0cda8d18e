public import EventLoop
public import Postgres

/// Reads the current activity: live workers, due jobs, the last acceptance, the pauses.
///
/// `messages_accepted_at` serves the last acceptance, `send_jobs_due` the due jobs.
public enum ReadActivity {
    static let sql = """
        SELECT (SELECT count(*) FROM otp.worker_status
                 WHERE heartbeat_at > clock_timestamp() - interval '30 seconds' AND kind = 'worker'
                   AND state NOT IN ('stopped', 'dead')),
               (SELECT string_agg(DISTINCT version, ',') FROM otp.worker_status
                 WHERE heartbeat_at > clock_timestamp() - interval '30 seconds' AND kind = 'worker'
                   AND state NOT IN ('stopped', 'dead')
                   AND version ~ '^[A-Za-z0-9.+-]+$'),
               (SELECT (extract(epoch FROM clock_timestamp() - max(heartbeat_at)))::float8 FROM otp.worker_status
                 WHERE kind = 'worker'),
               (SELECT count(*) FROM otp.send_jobs WHERE state = 'queued' AND due_at <= now()),
               (SELECT (extract(epoch FROM now() - min(due_at)))::float8
                  FROM otp.send_jobs WHERE state = 'queued' AND due_at <= now()),
               (SELECT (extract(epoch FROM clock_timestamp() - max(accepted_at)))::float8 FROM otp.messages)
        """
    static let pauses = "SELECT scope, reason, remedy, held FROM otp.pause_status ORDER BY scope LIMIT 20"

    static let limits = """
        SELECT scope || coalesce(' ' || key, ''), scope, trim_scale(allowed)::text, period::text,
               used_up_until::timestamptz(0)::text
          FROM otp.limit_status WHERE used_up_until IS NOT NULL ORDER BY 1, 3 LIMIT 20
        """
    static let refusals = "SELECT coalesce(sum(refused_1h), 0)::bigint FROM otp.refusals"

    /// A shared limit that is used up.
    public struct Limit: Sendable, Equatable {
        /// `country SA`, `total`.
        public var name: String
        public var scope: String
        public var allowed: String
        public var period: String
        public var until: String

        public init(name: String, scope: String, allowed: String, period: String, until: String) {
            self.name = name
            self.scope = scope
            self.allowed = allowed
            self.period = period
            self.until = until
        }
    }

    /// A pause in force.
    public struct Pause: Sendable, Equatable {
        public var scope: String
        public var reason: String
        public var remedy: String?
        /// The jobs that wait for it; nil for a worker's own pause.
        public var held: Int?

        public init(scope: String, reason: String, remedy: String?, held: Int?) {
            self.scope = scope
            self.reason = reason
            self.remedy = remedy
            self.held = held
        }
    }

    /// The result.
    public struct Activity: Sendable, Equatable {
        public var workersAlive: Int
        /// Their versions of otpd.
        public var versions: [String]
        /// Seconds since the last heartbeat of any worker.
        public var lastHeartbeat: Double?
        public var due: Int
        /// How long the oldest due job has been due, in seconds.
        public var oldestDue: Double?
        /// Seconds since Twilio last accepted a message.
        public var lastAccepted: Double?
        public var pauses: [Pause]
        /// Shared limits that are used up.
        public var limits: [Limit]
        /// Requests that limits refused in the last hour.
        public var refused: Int

        public init(
            workersAlive: Int, versions: [String], lastHeartbeat: Double?, due: Int, oldestDue: Double?,
            lastAccepted: Double?, pauses: [Pause], limits: [Limit] = [], refused: Int = 0
        ) {
            self.workersAlive = workersAlive
            self.versions = versions
            self.lastHeartbeat = lastHeartbeat
            self.due = due
            self.oldestDue = oldestDue
            self.lastAccepted = lastAccepted
            self.pauses = pauses
            self.limits = limits
            self.refused = refused
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Activity {
        var row = try await TextQuery.rows(sql, on: connection, deadline: deadline).reader()
        let paused = try await TextQuery.rows(pauses, on: connection, deadline: deadline)
        let usedUp = try await TextQuery.rows(limits, on: connection, deadline: deadline)
        var refused = try await TextQuery.rows(refusals, on: connection, deadline: deadline).reader()
        return Activity(
            workersAlive: try row.next(), versions: try row.nextNames(), lastHeartbeat: try row.next(),
            due: try row.next(), oldestDue: try row.next(), lastAccepted: try row.next(),
            pauses: try paused.map { row throws(PostgresError) in
                Pause(
                    scope: try row.next(), reason: try row.next() ?? "", remedy: try row.next(), held: try row.next())
            },
            limits: try usedUp.map { row throws(PostgresError) in
                Limit(
                    name: try row.next(), scope: try row.next(), allowed: try row.next(), period: try row.next(),
                    until: try row.next())
            }, refused: try refused.next())
    }
}
