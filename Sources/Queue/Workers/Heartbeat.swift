public import EventLoop
public import OTP
public import Postgres
public import Tracing

/// A worker's report about itself in `otp.worker_status`.
public struct WorkerReport: Sendable {
    public enum State: String, Sendable { case starting, running, paused, draining, stopped }

    public var host: String
    public var pid: Int32
    public var version: String
    public var state: State
    /// Why it is paused.
    public var reason: String?
    /// What to do about it.
    public var remedy: String?
    /// How long it has been paused.
    public var pausedFor: Instant.Duration?
    /// How long until the pause's next probe. Nil while one is under way, and if an operator must end the pause.
    public var nextProbe: Instant.Duration?
    public var inFlight: Int
    public var claimed: Int64
    public var accepted: Int64
    public var failed: Int64
    public var unknown: Int64
    /// From the commit of the send job to Twilio's acceptance, in ms, since the last heartbeat that had any.
    public var latency: (p50: Double?, p95: Double?, p99: Double?)
    /// Nil once it has stopped.
    public var databaseState: String?
    /// Nil for a receiver alone, and once it has stopped.
    public var twilioState: String?
    /// Nil if it sends no e-mail, and once it has stopped.
    public var mailState: String?
    /// The channels that it can send by.
    public var channels: [Channel]
    /// Nil if it has no receiver.
    public var callbacks: CallbackCounts?
    /// Nil if it exports no traces.
    public var spans: SpanCounts?

    public init(
        host: String, pid: Int32, version: String, channels: [Channel] = [.sms, .whatsapp, .call]
    ) {
        self.channels = channels
        self.host = host
        self.pid = pid
        self.version = version
        state = .starting
        inFlight = 0
        (claimed, accepted, failed, unknown) = (0, 0, 0, 0)
        latency = (nil, nil, nil)
        databaseState = "connected"
        twilioState = "not used yet"
    }
}

/// The counts of a receiver since its start.
public struct CallbackCounts: Sendable, Equatable {
    /// Callbacks with Twilio's signature.
    public var received: Int64
    /// Callbacks without it.
    public var refused: Int64
    /// Callbacks never recorded: there was no room, or the database refused them for good.
    public var dropped: Int64
    /// Callbacks recorded.
    public var written: Int64

    public init(received: Int64, refused: Int64, dropped: Int64, written: Int64) {
        (self.received, self.refused, self.dropped, self.written) = (received, refused, dropped, written)
    }
}

/// Heartbeat, poll and connectivity check in one statement. It writes the worker's row, and reports whether this
/// session still listens (LISTEN ends without notice). It also reports when the next job is due, and how many other
/// workers run, among which rates and polls are divided. A worker whose heartbeat is twice overdue is not counted,
/// because it has stopped or cannot reach the database, so it claims nothing.
///
/// For an idle worker it also finds when each loop next has work, so that the loops need not ask
/// (`Worker/Scheduling/IdleSchedule.swift`). That makes six statements a minute instead of sixteen.
///
/// The primary key serves the row, and `send_jobs_due` the next job. The first entry of an index serves each other
/// result: `send_jobs_leased`, `send_jobs_expiring`, `send_jobs_unknown`, `messages_to_poll`, `status_reports_due`,
/// `pending_redactions_due`.
/// There are few workers. Run it on the connection that listens.
public enum Heartbeat {
    static let statement = Statement(
        "otpd_heartbeat",
        """
        WITH beat AS (
            INSERT INTO otp.worker_status AS w
                   (worker_id, host, pid, version, state, reason, remedy, in_flight, claimed, accepted, failed,
                    unknown, latency_p50_ms, latency_p95_ms, latency_p99_ms, database_state, twilio_state,
                    paused_since, next_probe_at, callbacks_received, callbacks_refused, callbacks_dropped,
                    callbacks_written, channels, mail_state, spans_exported, spans_dropped, spans_failed)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                    now() - make_interval(secs => $18), now() + make_interval(secs => $19), $20, $21, $22, $23, $27, $28,
                    $29, $30, $31)
            ON CONFLICT (worker_id) DO UPDATE
               SET heartbeat_at = now(), state = excluded.state, reason = excluded.reason,
                   remedy = excluded.remedy, paused_since = excluded.paused_since,
                   next_probe_at = excluded.next_probe_at, in_flight = excluded.in_flight, claimed = excluded.claimed,
                   accepted = excluded.accepted, failed = excluded.failed, unknown = excluded.unknown,
                   latency_p50_ms = coalesce(excluded.latency_p50_ms, w.latency_p50_ms),
                   latency_p95_ms = coalesce(excluded.latency_p95_ms, w.latency_p95_ms),
                   latency_p99_ms = coalesce(excluded.latency_p99_ms, w.latency_p99_ms),
                   database_state = excluded.database_state, twilio_state = excluded.twilio_state,
                   mail_state = excluded.mail_state, channels = excluded.channels,
                   callbacks_received = excluded.callbacks_received, callbacks_refused = excluded.callbacks_refused,
                   callbacks_dropped = excluded.callbacks_dropped, callbacks_written = excluded.callbacks_written,
                   spans_exported = excluded.spans_exported, spans_dropped = excluded.spans_dropped,
                   spans_failed = excluded.spans_failed
        )
        SELECT EXISTS (SELECT FROM pg_listening_channels() AS c(channel) WHERE c.channel = 'otp_send_jobs'),
               CASE WHEN $26 THEN (
                   SELECT extract(epoch FROM least(min(j.due_at), now() + interval '1 day') - now())::float8
                     FROM otp.send_jobs j
                    WHERE j.state = 'queued'
                      AND j.due_at >= coalesce($24, '-infinity'))
               END,
               others.running, others.lower, (extract(epoch FROM now()) * 1000000)::bigint,
               CASE WHEN $25 THEN (
                   SELECT extract(epoch FROM least(
                              (SELECT min(j.lease_expires_at) FROM otp.send_jobs j WHERE j.state = 'sending'),
                              (SELECT min(j.expires_at) FROM otp.send_jobs j WHERE j.state = 'queued')) - now())::float8)
               END,
               $25 AND (EXISTS (SELECT FROM otp.send_jobs j WHERE j.state = 'unknown')
                        OR EXISTS (SELECT FROM otp.settings s WHERE s.daily_budget IS NOT NULL)),
               CASE WHEN $25 THEN (
                   SELECT extract(epoch FROM min(j.next_lookup_at) - now())::float8
                     FROM otp.send_jobs j WHERE j.state = 'unknown')
               END,
               CASE WHEN $25 THEN (
                   SELECT extract(epoch FROM least(
                              (SELECT min(m.next_poll_at) FROM otp.messages m WHERE m.next_poll_at IS NOT NULL),
                              (SELECT min(r.due_at) FROM otp.status_reports r WHERE r.due_at IS NOT NULL),
                              (SELECT min(r.due_at) FROM otp.pending_redactions r WHERE r.due_at IS NOT NULL),
                              (SELECT now() + interval '10 seconds' FROM otp.pending_forgets LIMIT 1))
                          - now())::float8)
               END,
               $25 AND EXISTS (SELECT FROM otp.worker_status o
                                WHERE o.heartbeat_at < now() - interval '30 seconds'
                                  AND o.state NOT IN ('stopped', 'dead') AND o.worker_id <> $1)
          FROM (SELECT count(*)::int AS running, (count(*) FILTER (WHERE o.worker_id < $1))::int AS lower
                  FROM otp.worker_status o
                 WHERE o.state = 'running' AND o.kind = 'worker' AND o.worker_id <> $1 AND o.channels && $27
                   AND o.heartbeat_at > now() - interval '20 seconds') others
        """,
        [
            .int8, .text, .int4, .text, .text, .text, .text, .int4, .int8, .int8, .int8, .int8, .float8, .float8,
            .float8, .text, .text, .float8, .float8, .int8, .int8, .int8, .int8, .timestamptz, .bool,
            .bool, .textArray, .text, .int8, .int8, .int8,
        ])

    /// The result of a heartbeat.
    public struct Reply: Sendable {
        /// Whether a NOTIFY would reach this session.
        public var isListening: Bool
        /// How long until the next queued job is due, negative if it is due. Nil if there is none, or if it was not
        /// asked for.
        public var nextDue: Instant.Duration?
        /// How many other workers run.
        public var others: Int
        /// How many of them have a lower number.
        public var before: Int
        /// The database's clock, in microseconds since the Unix epoch.
        public var clock: Int64
        /// When the loops next have work; nil if it was not asked for.
        public var nextWork: NextWork?
    }

    /// When the loops of an idle worker next have work. Negative if they have work now.
    public struct NextWork: Sendable, Equatable {
        /// Until a lease ends, or the code of a queued job expires: for `Sweep`.
        public var nextEnd: Instant.Duration?
        /// Whether there is work that only a sweep can find: unknown outcomes, or a budget for the day.
        public var needsSweeps: Bool
        /// Until an unknown outcome is due for a lookup: for `TakeUnknown`.
        public var nextLookup: Instant.Duration?
        /// Until a message is due for a poll: for `PollMessages` and `TakeRedactions`.
        public var nextPoll: Instant.Duration?
        /// Whether there is a dead worker that is not marked: for `MarkDead`.
        public var hasDeadWorker: Bool

        public init(
            nextEnd: Instant.Duration? = nil, needsSweeps: Bool = false, nextLookup: Instant.Duration? = nil,
            nextPoll: Instant.Duration? = nil, hasDeadWorker: Bool = false
        ) {
            self.nextEnd = nextEnd
            self.needsSweeps = needsSweeps
            self.nextLookup = nextLookup
            self.nextPoll = nextPoll
            self.hasDeadWorker = hasDeadWorker
        }
    }

    /// Writes the report of `worker`. If asked for, finds the next due job from `start` on (see `Claim.run`). An idle
    /// worker asks for its next work too.
    public static func run(
        on connection: Connection, worker: Int64, _ report: WorkerReport, from start: Int64? = nil,
        asksNextDue: Bool = true, isIdle: Bool, deadline: Instant
    ) async throws(PostgresError) -> Reply {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(report.host)
        parameters.append(report.pid)
        parameters.append(report.version)
        parameters.append(report.state.rawValue)
        parameters.append(report.reason)
        parameters.append(report.remedy)
        parameters.append(Int32(report.inFlight))
        for count in [report.claimed, report.accepted, report.failed, report.unknown] { parameters.append(count) }
        for latency in [report.latency.p50, report.latency.p95, report.latency.p99] { parameters.append(latency) }
        parameters.append(report.databaseState)
        parameters.append(report.twilioState)
        for span in [report.pausedFor, report.nextProbe] { parameters.append(span?.seconds) }
        let callbacks = report.callbacks
        for count in [callbacks?.received, callbacks?.refused, callbacks?.dropped, callbacks?.written] {
            parameters.append(count)
        }
        if let start { parameters.append(unixMicroseconds: start) } else { parameters.appendNull() }
        parameters.append(isIdle)
        parameters.append(asksNextDue)
        parameters.append(report.channels.map { Optional($0.rawValue) })
        parameters.append(report.mailState)
        for count in [report.spans?.exported, report.spans?.dropped, report.spans?.failed] { parameters.append(count) }
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        var answer = Reply(
            isListening: try row.next(), nextDue: try row.nextDuration(), others: try row.next(),
            before: try row.next(), clock: try row.next())
        if isIdle {
            answer.nextWork = NextWork(
                nextEnd: try row.nextDuration(), needsSweeps: try row.next(), nextLookup: try row.nextDuration(),
                nextPoll: try row.nextDuration(), hasDeadWorker: try row.next())
        }
        return answer
    }
}
