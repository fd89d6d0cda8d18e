import EventLoop
import OTP
import Queue

/// What this process has handed to Twilio in the last ten minutes, whatever the database remembers of it. Pure.
///
/// A database can forget: after a failover to an asynchronous standby, a job that was sent may be due again. A code lives
/// for ten minutes at most, so ten minutes of memory cover every job that could be claimed a second time.
///
/// There are two kinds of memory. `JobSet` holds one bit per job that Twilio may have, and keeps it for the whole ten
/// minutes. The two `Recent` hold details of the newest attempts: the SIDs, which can be written again, and the unknown
/// outcomes. A job whose details are gone counts as an unknown outcome.
///
/// Memory: 2.4 MB for the set at most (17 million job ids in ten minutes), 2.9 MB for 32,768 accepted messages, 0.8 MB
/// for 8,192 unknown outcomes. All of it grows with use. Beyond 8,192 unknown outcomes in ten minutes, the oldest are
/// forgotten, and only the database protects them.
struct HandedOver: Sendable {
    /// How long a hand-over is remembered: the longest life of a code.
    static let span = Instant.Duration.seconds(600)
    static let mostAccepted = 32_768
    static let mostUnknown = 8_192
    /// For the row of a job that was claimed again after it was handed over.
    static let forgottenError = "The database lost an attempt to send this job, so the code may have been sent."
    /// For the row of a job whose outcome is unknown.
    static let forgottenRemedy =
        "Nothing to do: otpd looks for the message at Twilio, and sends again only if Twilio does not have it."

    /// What is known of a job that a claim brought.
    enum Finding: Sendable, Equatable {
        /// Twilio cannot have it: it may be sent.
        case free
        /// Twilio accepted its message, which has to be recorded again.
        case accepted(MessageSID, attempt: Int32)
        /// Twilio may have it: its outcome is unknown, and nothing of the attempt has left for `age`.
        case unknown(age: Instant.Duration)
    }

    private var jobs = JobSet(span: HandedOver.span)
    private var accepted = Recent(capacity: HandedOver.mostAccepted)
    private var unknown = Recent(capacity: HandedOver.mostUnknown)

    /// A job is handed over.
    mutating func began(_ job: Int64, at now: Instant) {
        // Details of an earlier attempt do not apply to this one.
        if jobs.insert(job, at: now) { unknown.forget(job) }
    }

    /// The last hand-over of a job surely brought no message.
    mutating func wasNotSent(_ job: Int64) { jobs.remove(job) }

    /// Twilio has accepted a message.
    mutating func wasAccepted(_ message: AcceptedMessage, at now: Instant) {
        _ = jobs.insert(message.job, at: now)
        accepted.append(
            Attempt(
                sid: message.sid, number: message.attempt, job: message.job, verification: message.verification,
                requestedAt: message.requestedAt, endedAt: now))
    }

    /// The outcome of an attempt is unknown; nothing of it can leave from `now` on.
    mutating func isUnknown(_ job: ClaimedJob, at now: Instant) {
        isUnknown(
            job: job.id, attempt: job.attempt, verification: job.verificationID, requestedAt: job.requestedAt, at: now)
    }

    mutating func isUnknown(job: Int64, attempt: Int32, verification: Int64, requestedAt: Int64, at now: Instant) {
        _ = jobs.insert(job, at: now)
        let evicted = unknown.append(
            Attempt(
                sid: nil, number: attempt, job: job, verification: verification, requestedAt: requestedAt,
                endedAt: now))
        // Without its details it could not be told from an attempt that the reconciler has settled.
        if let evicted, evicted.isWithin(Self.span, of: now), unknown.newest(of: evicted.job) == nil,
            accepted.newest(of: evicted.job) == nil
        {
            jobs.remove(evicted.job)
        }
    }

    /// Whether Twilio may have a job's message.
    func contains(_ job: Int64) -> Bool { jobs.contains(job) }

    /// What is known of a job that is this worker's in the database, in its `attempt`. `isResolved`: the database knows
    /// that lookups did not find the message of an earlier attempt.
    func finding(job: Int64, attempt: Int32, requestedAt: Int64, isResolved: Bool, at now: Instant) -> Finding {
        guard jobs.contains(job) else { return .free }
        if let known = accepted.newest(of: job), known.isWithin(Self.span, of: now) {
            // Another request with the same id: a promoted standby gives out ids again whose first use it has not seen.
            guard known.requestedAt == requestedAt else { return .free }
            if let sid = known.sid { return .accepted(sid, attempt: known.number) }
        }
        guard let known = unknown.newest(of: job), known.isWithin(Self.span, of: now) else {
            return .unknown(age: .seconds(0))
        }
        guard known.requestedAt == requestedAt else { return .free }
        // A later number: the database knows of that attempt, too.
        return isResolved && attempt > known.number ? .free : .unknown(age: now - known.endedAt)
    }

    /// At most `limit` of the accepted messages that were noted before `position` (nil: the newest), newest first.
    func acceptedMessages(before position: Int?, limit: Int, at now: Instant) -> Batch {
        var batch = Batch(messages: [], next: min(position ?? accepted.end, accepted.end))
        while batch.messages.count < limit, let place = batch.next, place > accepted.start {
            let attempt = accepted[place - 1]
            guard attempt.isWithin(Self.span, of: now) else { break }
            batch.next = place - 1
            guard let sid = attempt.sid else { continue }
            batch.messages.append(
                AcceptedMessage(
                    job: attempt.job, attempt: attempt.number, verification: attempt.verification,
                    requestedAt: attempt.requestedAt, sid: sid, status: .queued, sender: nil))
        }
        if batch.messages.count < limit { batch.next = nil }
        return batch
    }

    /// Some accepted messages, and where the next ones begin; nil after the last.
    struct Batch: Sendable {
        var messages: [AcceptedMessage]
        var next: Int?
    }

    /// The attempts whose outcome is unknown.
    func unknownAttempts(at now: Instant) -> [Attempt] {
        (unknown.start..<unknown.end).map { unknown[$0] }.filter { $0.isWithin(Self.span, of: now) && !$0.isForgotten }
    }

    /// One attempt that is over.
    struct Attempt: Sendable {
        /// The message that Twilio accepted; nil where the outcome is unknown.
        var sid: MessageSID?
        var number: Int32
        var job: Int64
        var verification: Int64
        var requestedAt: Int64
        var endedAt: Instant
        var isForgotten = false

        func isWithin(_ span: Instant.Duration, of now: Instant) -> Bool { now - endedAt <= span }
    }

    /// The newest attempts in one ring, found by job through chains of equal hashes. Positions only grow, so an old
    /// link is known by its position and nothing has to be taken out of a chain.
    private struct Recent: Sendable {
        private let capacity: Int
        private var attempts: [Attempt] = []
        /// By place in the ring: the position of the one before with the same hash.
        private var earlier: [Int] = []
        /// By hash: the newest position.
        private var newest: [Int] = []
        /// The position of the next one.
        private(set) var end = 0

        /// `capacity` is a power of two.
        init(capacity: Int) { self.capacity = capacity }

        /// The position of the oldest one.
        var start: Int { end - attempts.count }

        subscript(position: Int) -> Attempt { attempts[position & (capacity - 1)] }

        /// Adds one; the one that had to go for it.
        @discardableResult
        mutating func append(_ attempt: Attempt) -> Attempt? {
            if newest.isEmpty { newest = [Int](repeating: -1, count: capacity) }
            let (place, hash) = (end & (capacity - 1), hash(attempt.job))
            var evicted: Attempt?
            if place == attempts.count {
                attempts.append(attempt)
                earlier.append(newest[hash])
            } else {
                evicted = attempts[place]
                attempts[place] = attempt
                earlier[place] = newest[hash]
            }
            newest[hash] = end
            end += 1
            return evicted
        }

        func newest(of job: Int64) -> Attempt? { position(of: job).map { self[$0] } }

        mutating func forget(_ job: Int64) {
            while let position = position(of: job) { attempts[position & (capacity - 1)].isForgotten = true }
        }

        private func position(of job: Int64) -> Int? {
            guard !attempts.isEmpty else { return nil }
            var position = newest[hash(job)]
            while position >= start {
                let attempt = self[position]
                if attempt.job == job, !attempt.isForgotten { return position }
                position = earlier[position & (capacity - 1)]
            }
            return nil
        }

        private func hash(_ job: Int64) -> Int { Int(truncatingIfNeeded: job) & (capacity - 1) }
    }
}
