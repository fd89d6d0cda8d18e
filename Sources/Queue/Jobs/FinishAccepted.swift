public import EventLoop
public import OTP
public import Postgres

/// Records messages that Twilio accepted: their jobs leave the queue and become messages, in one statement.
///
/// A SID is evidence, so nothing here is fenced. It settles its job in any state that is not final, from any attempt,
/// stale or not. If the job has ended in another way, the message is kept all the same (`is_primary` false). A SID that
/// belongs to another job of its range (`otp.job_range`) already proves nothing, and must not make this job vanish.
/// Repeating it is harmless.
///
/// Usually each job is where its claim wrote it and each SID is new. A statement for that case alone is tried first,
/// which costs a quarter less (8.7 → 6.4 µs a message). If it is refused or does not find every job, the general
/// statement writes the whole batch again and skips the rows that are written already.
///
/// Both find their jobs directly whatever the statistics say: one by `ctid`, the other by the key with `= ANY (…)`. A
/// plan made while the queue is empty, as it mostly is, would read a whole index of the compared keys for a join. `+ 0`
/// prevents that. `NOT IN` is used without joins between the parts, because it becomes a hash whatever sizes the
/// planner expects.
///
/// Twilio is first asked for the message 2 s later, and then ever more rarely (`PollMessages`). With status callbacks,
/// that schedule begins later.
public struct FinishAccepted: Sendable {
    /// Fast path: rows unmoved since the claim, SIDs new.
    static let plain = Statement(
        "otpd_finish_accepted",
        """
        WITH gone AS (
            DELETE FROM otp.send_jobs j
             USING unnest($3::bigint[], $4::bigint[], $5::tid[], $6::text[], $7::text[], $8::text[], $9::text[])
                AS e(id, verification_id, place, sid, status, sender, country)
             WHERE j.ctid = e.place AND j.id + 0 = e.id AND j.verification_id + 0 = e.verification_id
         RETURNING j.id, j.verification_id, j.attempt, j.requested_at, j.channel, j.step, j.follows, j.traceparent,
                   e.sid, e.status, e.sender, e.country
        )
        INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, worker, sender,
                                  is_primary, requested_at, accepted_at, status, final_at, next_poll_at, polls,
                                  channel, step, follows, traceparent, country)
        SELECT otp.job_range(g.id), g.sid, g.id, g.verification_id, g.attempt, $1, g.sender, true,
               g.requested_at, now(), g.status, CASE g.channel WHEN 'email' THEN now() END,
               CASE WHEN g.channel <> 'email' THEN now() + interval '2 seconds' * 2 ^ $2 END, $2, g.channel, g.step, g.follows,
               g.traceparent, g.country
          FROM gone g
        """, [.int8, .int4, .int8Array, .int8Array, .tidArray, .textArray, .textArray, .textArray, .textArray])

    /// General path: stale attempts, repeated SIDs, ids of other jobs.
    static let careful = Statement(
        "otpd_finish_evidence",
        """
        WITH e AS MATERIALIZED (
            SELECT *
              FROM unnest($3::bigint[], $4::int[], $5::bigint[], $6::timestamptz[], $7::text[], $8::text[],
                          $9::text[])
                AS e(id, attempt, verification_id, requested_at, sid, status, sender)
        ), gone AS (
            DELETE FROM otp.send_jobs j USING e
             WHERE j.id = ANY ($3) AND j.id + 0 = e.id AND j.verification_id + 0 = e.verification_id
               -- A promoted standby reuses ids whose first use it has not seen, for other requests.
               AND j.requested_at = e.requested_at
         RETURNING e.*, j.channel, j.step, j.follows, j.traceparent
        ), kept AS (
            INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, worker,
                                      sender, is_primary, requested_at, accepted_at, status, final_at, next_poll_at, polls,
                                      channel, step, follows, traceparent, id_taken, country)
            SELECT otp.job_range(a.id), a.sid, a.id, a.verification_id, a.attempt, $1, a.sender,
                   a.is_primary, a.requested_at, now(), a.status, CASE a.channel WHEN 'email' THEN now() END,
                   CASE WHEN a.channel <> 'email' THEN now() + interval '2 seconds' * 2 ^ $2 END, $2,
                   a.channel, a.step, a.follows, a.traceparent, a.id_taken,
                   (SELECT v.country FROM otp.verifications v WHERE v.id = a.verification_id)
              FROM (SELECT g.*, h.sid IS NULL AS is_primary, CASE WHEN h.sid IS NOT NULL THEN true END AS id_taken
                      FROM gone g
                      -- A live job is not in the history, so a row with its id there is another job.
                      LEFT JOIN LATERAL (SELECT h.message_sid AS sid FROM otp.messages h
                                          WHERE h.send_job_id = g.id AND h.is_primary LIMIT 1) h ON true
                     UNION ALL
                    SELECT e.*, CASE WHEN e.sid LIKE 'CA%' THEN 'call' WHEN e.sid LIKE 'ML%' THEN 'email' ELSE 'sms' END,
                           NULL, NULL, NULL, false, NULL
                      FROM e WHERE (e.id, e.sid) NOT IN (SELECT g.id, g.sid FROM gone g)) a
            ON CONFLICT (job_range, message_sid) DO NOTHING
         RETURNING message_sid, send_job_id, is_primary, id_taken
        ), repeated AS (
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, step, state, attempts, error, remedy,
                                         error_class, requested_at, ended_at, follows, traceparent)
            SELECT g.id, g.verification_id, g.channel, g.step, 'failed', g.attempt,
                   'Twilio answered with the SID of another message, so this one may or may not have been sent.',
                   'Look for a proxy that repeats answers between otpd and Twilio.', 'repeated_sid',
                   g.requested_at, now(), g.follows, g.traceparent
              FROM gone g
             WHERE (g.sid, g.id) NOT IN (SELECT k.message_sid, k.send_job_id FROM kept k)
        )
        SELECT count(*) FILTER (WHERE NOT k.is_primary AND k.id_taken IS NULL)::int,
               count(*) FILTER (WHERE NOT k.is_primary AND k.id_taken IS NULL
                                  AND (k.send_job_id IN (SELECT o.send_job_id FROM kept o WHERE o.is_primary)
                                       OR EXISTS (SELECT FROM otp.messages m
                                                   WHERE m.send_job_id = k.send_job_id AND m.is_primary)))::int,
               count(k.id_taken)::int
          FROM kept k
        """,
        [
            .int8, .int4, .int8Array, .int4Array, .int8Array, .timestamptzArray, .textArray, .textArray, .textArray,
        ])

    /// The polls that callbacks make unnecessary: the first of the schedule, up to 16 s after the acceptance.
    public static let sparedByCallbacks: Int32 = 3

    private let sparedPolls: Int32
    private var messages: [AcceptedMessage] = []

    /// Makes an empty batch. Its messages are polled from after the first `sparedPolls` on.
    public init(sparedPolls: Int32 = 0) { self.sparedPolls = sparedPolls }

    /// An empty batch with the same schedule.
    public func emptied() -> FinishAccepted { FinishAccepted(sparedPolls: sparedPolls) }

    /// How many messages are waiting to be recorded.
    public var count: Int { messages.count }

    /// Their jobs.
    public var jobs: [Int64] { messages.map(\.job) }

    /// Adds a message.
    public mutating func append(_ message: AcceptedMessage) { messages.append(message) }

    /// Forgets the places of the jobs' rows, because the server may be another one by now.
    public mutating func forgetPlaces() {
        for index in messages.indices { messages[index].place = nil }
    }

    /// Splits this batch in two.
    public func halves() -> (FinishAccepted, FinishAccepted) {
        var (first, second) = (emptied(), emptied())
        first.messages = Array(messages.prefix(messages.count / 2))
        second.messages = Array(messages.dropFirst(messages.count / 2))
        return (first, second)
    }

    /// The messages of these jobs, and all others.
    public func separated(_ jobs: Set<Int64>) -> (of: FinishAccepted, others: FinishAccepted) {
        var (of, others) = (emptied(), emptied())
        of.messages = messages.filter { jobs.contains($0.job) }
        others.messages = messages.filter { !jobs.contains($0.job) }
        return (of, others)
    }

    /// Job and attempt of each message, and its SID, for the log if it cannot be recorded.
    public var names: [(job: Int64, attempt: Int32, result: String)] {
        messages.map { ($0.job, $0.attempt, "accepted as \($0.sid)") }
    }

    /// Messages that did not end their job.
    public struct Surplus: Sendable, Equatable {
        /// All of them. Their job had ended in another way, or with another message.
        public var all: Int
        /// Those of jobs that had a message already, so their code was sent twice.
        public var second: Int
        /// Results of jobs whose id another job in the history has.
        public var takenIDs: Int

        public init(all: Int, second: Int, takenIDs: Int = 0) {
            self.all = all
            self.second = second
            self.takenIDs = takenIDs
        }

        /// Each message ended its job.
        public static let none = Surplus(all: 0, second: 0)
    }

    /// Records them all.
    @discardableResult
    public func run(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError) -> Surplus
    {
        do {
            let plain = try await connection.execute(
                Self.plain, plainParameters(worker), deadline: deadline, onDeadline: .drop, onCancellation: .drop)
            if plain.affectedRows == count { return .none }
        } catch {
            // A SID, or an end of the job, that is recorded already.
            guard case .server(let refusal) = error, refusal.sqlstate == "23505" else { throw error }
        }
        let result = try await connection.execute(
            Self.careful, carefulParameters(worker), deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return Surplus(
            all: try row.next(), second: try row.next(), takenIDs: try row.next())
    }

    private func plainParameters(_ worker: Int64) -> Parameters {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(sparedPolls)
        parameters.append(messages.lazy.map(\.job))
        parameters.append(messages.lazy.map(\.verification))
        parameters.appendArray(of: .tid) { array in
            for message in messages {
                if let place = message.place { array.append(place) } else { array.appendNull() }
            }
        }
        appendAnswers(to: &parameters)
        parameters.append(messages.map(\.country))
        return parameters
    }

    private func carefulParameters(_ worker: Int64) -> Parameters {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(sparedPolls)
        parameters.append(messages.lazy.map(\.job))
        parameters.append(messages.lazy.map(\.attempt))
        parameters.append(messages.lazy.map(\.verification))
        parameters.appendArray(of: .timestamptz) { array in
            for message in messages { array.append(unixMicroseconds: message.requestedAt) }
        }
        appendAnswers(to: &parameters)
        return parameters
    }

    /// SIDs, statuses and senders.
    private func appendAnswers(to parameters: inout Parameters) {
        var sid: [UInt8] = []
        parameters.appendArray(of: .text) { array in
            for message in messages {
                sid.removeAll(keepingCapacity: true)
                message.sid.append(to: &sid)
                array.append(bytes: sid)
            }
        }
        parameters.appendArray(of: .text) { array in
            for message in messages { array.append(message.status.rawValue) }
        }
        parameters.append(messages.map(\.sender))
    }
}

/// A message that Twilio accepted, and the attempt that created it.
public struct AcceptedMessage: Sendable {
    /// The send job.
    public var job: Int64
    /// The attempt.
    public var attempt: Int32
    /// The verification.
    public var verification: Int64
    /// When the send was requested, in microseconds since the Unix epoch.
    public var requestedAt: Int64
    /// Where its claim wrote the job's row; nil if that is unknown or long ago.
    public var place: TupleID?
    /// The proof of acceptance.
    public var sid: MessageSID
    /// Twilio's word, verbatim.
    public var status: MessageStatus
    /// The sender, if it is known. Otherwise the poller adds it.
    public var sender: String?
    /// The country of its phone number; nil if it is not at hand, such as for a job of an earlier claim.
    public var country: String?

    public init(
        job: Int64, attempt: Int32, verification: Int64, requestedAt: Int64, place: TupleID? = nil, sid: MessageSID,
        status: MessageStatus, sender: String?, country: String? = nil
    ) {
        self.job = job
        self.attempt = attempt
        self.verification = verification
        self.requestedAt = requestedAt
        self.place = place
        self.sid = sid
        self.status = status
        self.sender = sender
        self.country = country
    }
}
