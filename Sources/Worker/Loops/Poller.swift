import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Twilio

/// Asks Twilio for messages that are not settled, for their status and their bill, and has it empty the texts of others
/// where `otp.settings.redact_bodies` wants that: at most `perRound` a round, a few at a time. `PollMessages` decides.
///
/// Rounds follow each other every 2 s while there are messages to ask for. Idle, one comes when a message is due by the last
/// heartbeat (`IdleSchedule`); without heartbeats more and more rarely, up to a minute.
struct Poller {
    let loop: EventLoop
    let dispatcher: Dispatcher
    let records: Session
    let twilio: TwilioReader
    let keys: CodeKeys
    let log: Logger
    private let denied = SharedLogThrottle()
    private let refused = SharedLogThrottle()

    init(
        loop: EventLoop, dispatcher: Dispatcher, records: Session, twilio: TwilioReader, keys: CodeKeys, log: Logger
    ) {
        (self.loop, self.dispatcher, self.records) = (loop, dispatcher, records)
        (self.twilio, self.keys, self.log) = (twilio, keys, log)
    }

    static let perRound = 20
    static let atATime = 5
    static let shortest = Instant.Span.seconds(2)
    static let longest = Instant.Span.seconds(60)

    /// Polls until cancelled.
    func run() async {
        var wait = Self.shortest
        var accepted: Int64 = 0
        var errors = LogOnce()
        while !Task.isCancelled {
            var asked = 0
            let began = Instant.now()
            await dispatcher.begin(.poll)
            do {
                asked = try await round()
                errors.succeeded()
            } catch {
                if case .server = error, errors.isNew(error) {
                    log.error("messages can't be asked for", metadata: [LogKeys.error: "\(error)"])
                }
            }
            let now = await dispatcher.counters.accepted
            let isBusy = asked > 0 || now != accepted
            accepted = now
            wait = isBusy ? Self.shortest : min(Self.longest, wait + wait)
            guard (try? await loop.sleep(for: Self.shortest)) != nil else { return }
            if !isBusy { await dispatcher.awaitTask(.poll, since: began, atMost: wait) }
        }
    }

    /// One round; how many messages were asked for.
    private func round() async throws(PostgresError) -> Int {
        let connection = try await records.connection(deadline: .now() + Times.statement)
        var reported = 0
        do throws(PostgresError) {
            reported = try await confirmReports(connection)
        } catch {
            guard case .server = error else { throw error }
            if let count = refused.count(at: .now()) {
                log.error(
                    "backends' reports of messages cannot be checked; trying again later",
                    metadata: [LogKeys.error: "\(error)", LogKeys.count: "\(count)"])
            }
        }
        let due = try await PollMessages.run(
            on: connection, limit: Self.perRound, deadline: .now() + Times.statement)
        let reports = await aFewAtATime(due.toFetch) { await fetch($0) }
        if !reports.isEmpty { try await record(reports, connection) }
        let redactions = await aFewAtATime(due.toRedact) { redaction in
            (redaction, isEmptied: await redact(redaction.sid))
        }
        let emptied = redactions.filter(\.isEmptied).map(\.0.sid)
        let kept = redactions.filter { !$0.isEmptied && $0.0.isLastTry }.map(\.0.sid)
        if !emptied.isEmpty || !kept.isEmpty {
            try await recordRedactions(emptied: emptied, kept: kept, connection)
        }
        if !kept.isEmpty {
            log.error(
                "texts of messages are still at Twilio, and are not tried again",
                metadata: [
                    LogKeys.count: "\(kept.count)",
                    LogKeys.remedy: """
                    See whether the credentials may change messages. Then, as the owner of the schema: UPDATE otp.messages \
                    SET redactions = 0, next_poll_at = now() WHERE redactions > 11 AND redacted_at IS NULL
                    """,
                ])
        }
        return due.taken + reported
    }

    /// Asks Twilio for the messages that backends report and that are not recorded; how many there were. What Twilio
    /// confirms becomes the job's message; what Twilio denies is not asked for again.
    private func confirmReports(_ connection: Connection) async throws(PostgresError) -> Int {
        let reports = try await ReportedMessages.take(
            on: connection, limit: Self.perRound, keys: keys, deadline: .now() + Times.statement)
        let findings = await aFewAtATime(reports) { report in (report, await finding(of: report)) }
        for (report, finding) in findings {
            switch finding {
            case .isTheirs(let message):
                await dispatcher.adopt(
                    AcceptedMessage(
                        job: report.job, attempt: report.attempt, verification: report.verificationID,
                        requestedAt: report.requestedAt, sid: message.sid, status: message.status,
                        sender: message.sender))
            case .isAnother:
                try await ReportedMessages.close(on: connection, report, deadline: .now() + Times.statement)
                if let count = denied.count(at: .now()) {
                    log.warning(
                        "a backend reported a message that Twilio does not have for that send job; it counts for nothing",
                        metadata: [
                            LogKeys.sendJob: "\(report.job)", LogKeys.count: "\(count)",
                            LogKeys.remedy: "See which backend calls otp.record_status, and with what.",
                        ])
                }
            case .isUnclear: break
            }
        }
        return reports.count
    }

    private enum Finding: Sendable {
        case isTheirs(MessageResource)
        case isAnother
        case isUnclear
    }

    /// Whether Twilio has the reported message, to the job's number and with its code.
    private func finding(of report: ReportedMessage) async -> Finding {
        guard let recipient = report.recipient, let code = report.code else { return .isUnclear }
        switch await twilio.lookUp(report.sid) {
        case .found(let message):
            var search = MessageSearch(for: code, to: recipient, since: report.requestedAt / 1_000_000)
            _ = search.read(message)
            if !search.matches.isEmpty { return .isTheirs(message) }
            return search.hidden.isEmpty ? .isAnother : .isUnclear
        case .absent: return report.isLastTry ? .isAnother : .isUnclear
        case .unclear: return .isUnclear
        }
    }

    /// Writes redactions: together, or each by itself where the database refuses one of them.
    private func recordRedactions(emptied: [String], kept: [String], _ connection: Connection)
        async throws(PostgresError)
    {
        func write(_ emptied: [String], _ kept: [String]) async throws(PostgresError) {
            try await RecordRedactions.run(
                on: connection, emptied: emptied, kept: kept, deadline: .now() + Times.statement)
        }
        do throws(PostgresError) {
            return try await write(emptied, kept)
        } catch {
            guard case .server = error, emptied.count + kept.count > 1 else { throw error }
        }
        var refusal: PostgresError?
        for (sid, isEmptied) in emptied.map({ ($0, true) }) + kept.map({ ($0, false) }) {
            do throws(PostgresError) {
                try await write(isEmptied ? [sid] : [], isEmptied ? [] : [sid])
            } catch {
                guard case .server = error else { throw error }
                refusal = error
            }
        }
        if let refusal { throw refusal }
    }

    /// Writes reports. One that the database refuses now is asked for again with the next poll of its message.
    private func record(_ reports: [MessageReport], _ connection: Connection) async throws(PostgresError) {
        let refusal = try await RecordStatus.run(on: connection, reports, deadline: .now() + Times.statement)
        if let refusal, let count = refused.count(at: .now()) {
            log.error(
                "the status of a message cannot be recorded; it is asked for again later",
                metadata: [LogKeys.error: "\(refusal)", LogKeys.count: "\(count)"])
        }
    }

    /// What `body` makes of each, nil left out.
    private func aFewAtATime<Value: Sendable, Made: Sendable>(
        _ values: [Value], _ body: @escaping @Sendable (Value) async -> Made?
    ) async -> [Made] {
        var made: [Made] = []
        var rest = values[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.atATime)
            rest = rest.dropFirst(Self.atATime)
            await withTaskGroup(of: Made?.self) { group in
                for value in part { group.addTask { await body(value) } }
                for await one in group { if let one { made.append(one) } }
            }
        }
        return made
    }

    private func redact(_ text: String) async -> Bool {
        guard let sid = MessageSID(text) else { return false }
        return await twilio.redact(sid)
    }

    /// What Twilio says of one message; nil when it says nothing now: it is asked again later.
    private func fetch(_ text: String) async -> MessageReport? {
        guard let sid = MessageSID(text), let message = await twilio.message(sid) else { return nil }
        return MessageReport(
            sid: text, status: message.status.rawValue, errorCode: message.errorCode.map(Int32.init(clamping:)),
            segments: message.segments.map { Int32(Int16(clamping: $0)) }, price: message.price.flatMap(Self.decimal),
            priceUnit: message.priceUnit, sender: message.sender)
    }
}

extension Poller: Sendable {
    /// A price as PostgreSQL's numeric takes it; nil for anything else that an answer may hold.
    static func decimal(_ text: String) -> String? {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let isDecimal =
            (1...2).contains(parts.count) && digits.utf8.count <= 30
            && parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        return isDecimal ? text : nil
    }
}
