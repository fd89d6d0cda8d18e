import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime
import Tracing
import Twilio

/// Polls the status and price of messages that are not settled, and has Twilio delete the texts of others if
/// `otp.settings.redact_bodies` asks for that: at most `perRound` a round, a few at a time. `PollMessages` decides
/// which.
///
/// Rounds follow each other every 2 s while there are messages to poll. While idle, a round comes when a message is due
/// by the last heartbeat (`IdleSchedule`). Without heartbeats, rounds come more and more rarely, down to one a minute.
/// Confined to the loop.
struct Poller: BackgroundLoop {
    static let perRound = 20
    static let atATime = 5
    static let shortest = Instant.Duration.seconds(2)
    static let longest = Instant.Duration.seconds(60)

    private let core: DispatchCore
    private let maintenance: MaintenanceSchedule
    private let recorder: Recorder
    private let records: ConnectionSource<any PollDatabase>
    private let twilio: any MessageReader
    private let keys: CodeKeys
    /// Nil without traces.
    private let spans: JobSpans?
    private var denied = LogThrottle()
    private var refused = LogThrottle()
    private var errors = LogOnce()
    /// Without heartbeats, how long after a round the next one comes.
    private var idle = Self.shortest
    /// Messages accepted by the last round.
    private var accepted: Int64 = 0

    init(
        _ core: DispatchCore, _ maintenance: MaintenanceSchedule, _ recorder: Recorder,
        _ records: ConnectionSource<any PollDatabase>, twilio: any MessageReader, keys: CodeKeys,
        spans: JobSpans? = nil
    ) {
        (self.core, self.maintenance, self.recorder, self.records) = (core, maintenance, recorder, records)
        (self.twilio, self.keys, self.spans) = (twilio, keys, spans)
    }

    enum Wait: Equatable {
        /// There was something to poll, or soon will be.
        case shortest
        /// Until a message is due by the schedule; at most for `atMost` from `since` on.
        case wanted(since: Instant, atMost: Instant.Duration)
    }

    mutating func round() async -> Wait {
        var asked = 0
        let began = Instant.now()
        maintenance.began(.poll)
        do {
            asked = try await poll()
            errors.succeeded()
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error("cannot poll messages; trying again", metadata: .of(error))
            }
        }
        let isBusy = asked > 0 || core.tally.accepted != accepted
        accepted = core.tally.accepted
        idle = isBusy ? Self.shortest : min(Self.longest, idle + idle)
        return isBusy ? .shortest : .wanted(since: began, atMost: idle)
    }

    func pause(_ wait: Wait) async {
        guard (try? await core.loop.sleep(for: Self.shortest)) != nil else { return }
        if case .wanted(let began, let span) = wait {
            await maintenance.wait(for: .poll, since: began, atMost: span)
        }
    }

    /// One round; how many messages were polled.
    private mutating func poll() async throws(PostgresError) -> Int {
        let database = try await records.connection()
        var reported = 0
        do throws(PostgresError) {
            reported = try await confirmReports(database)
        } catch {
            guard case .server = error else { throw error }
            if let count = refused.count(at: .now()) {
                core.log.error(
                    "cannot check the statuses that backends reported; trying again",
                    metadata: .of(error, [LogKeys.count: "\(count)"]))
            }
        }
        let began = Instant.now()
        let due = try await database.dueMessages(limit: Self.perRound)
        let reports =
            await aFewAtATime(due.toFetch) { [twilio] in await Self.fetch($0, twilio) }
            + aFewAtATime(due.toCancel) { [twilio] in await Self.cancel($0, twilio) }
        if !reports.isEmpty { try await record(reports, began: began, database) }
        let forgotten = try await redactForgotten(database)
        let redactions = await redact(due.toRedact)
        let emptied = redactions.filter(\.isEmptied).map(\.0.key)
        let kept = redactions.filter { !$0.isEmptied && $0.0.isLastTry }.map(\.0.key)
        if !emptied.isEmpty || !kept.isEmpty {
            try await recordRedactions(emptied: emptied, kept: kept, database)
        }
        if !kept.isEmpty {
            core.log.error(
                "Twilio still has the texts of messages; redaction is not tried again",
                metadata: [
                    LogKeys.count: "\(kept.count)",
                    LogKeys.remedy: """
                    Check that the credentials may change messages. Then run as the owner of the schema: UPDATE otp.messages \
                    SET redactions = 0, next_poll_at = now() WHERE redactions > 11 AND redacted_at IS NULL
                    """,
                ])
        }
        return due.taken + reported + forgotten
    }

    /// Has Twilio delete the texts of forgotten people's messages; how many were taken. Twelve tries fail only if Twilio
    /// refuses for hours.
    private func redactForgotten(_ database: any PollDatabase) async throws(PostgresError) -> Int {
        let taken = try await database.takeRedactions(limit: Self.perRound)
        let redactions = await redact(taken)
        let emptied = redactions.filter(\.isEmptied).map(\.0.key.sid)
        if !emptied.isEmpty { try await database.endRedactions(emptied) }
        let kept = redactions.count { !$0.isEmptied && $0.0.isLastTry }
        if kept > 0 {
            core.log.error(
                "Twilio still has the texts of forgotten people's messages; redaction is not tried again",
                metadata: [
                    LogKeys.count: "\(kept)",
                    LogKeys.remedy: """
                    Check that the credentials may change messages. Then run as the owner of the schema: \
                    UPDATE otp.pending_redactions SET tries = 0, due_at = now() WHERE due_at IS NULL
                    """,
                ])
        }
        return taken.count
    }

    private func redact(_ messages: [PollMessages.Redaction]) async -> [(PollMessages.Redaction, isEmptied: Bool)] {
        await aFewAtATime(messages) { [twilio] redaction in
            (redaction, isEmptied: await Self.redact(redaction.key.sid, twilio))
        }
    }

    /// Asks Twilio for the messages that backends reported and that are not recorded; how many there were. A message
    /// that Twilio confirms becomes the job's. One that Twilio denies is not asked for again.
    private mutating func confirmReports(_ database: any PollDatabase) async throws(PostgresError) -> Int {
        let reports = try await database.takeReports(limit: Self.perRound, keys: keys)
        let findings = await aFewAtATime(reports) { [twilio] report in (report, await Self.finding(of: report, twilio))
        }
        for (report, finding) in findings {
            switch finding {
            case .isTheirs(let message):
                recorder.adopt(
                    AcceptedMessage(
                        job: report.job, attempt: report.attempt, verification: report.verificationID,
                        requestedAt: report.requestedAt, sid: message.sid, status: message.status,
                        sender: message.sender))
            case .isAnother:
                try await database.close(report)
                if let count = denied.count(at: .now()) {
                    core.log.warning(
                        "a backend reported a message that Twilio does not have for that send job; the report is ignored",
                        metadata: [
                            LogKeys.sendJob: "\(report.job)", LogKeys.count: "\(count)",
                            LogKeys.remedy: "Find the backend that calls otp.record_status, and check its arguments.",
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
    private static func finding(of report: ReportedMessage, _ twilio: any MessageReader) async -> Finding {
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
    private func recordRedactions(emptied: [MessageKey], kept: [MessageKey], _ database: any PollDatabase)
        async throws(PostgresError)
    {
        func write(_ emptied: [MessageKey], _ kept: [MessageKey]) async throws(PostgresError) {
            try await database.recordRedactions(emptied: emptied, kept: kept)
        }
        do throws(PostgresError) {
            return try await write(emptied, kept)
        } catch {
            guard case .server = error, emptied.count + kept.count > 1 else { throw error }
        }
        var refusal: PostgresError?
        for (key, isEmptied) in emptied.map({ ($0, true) }) + kept.map({ ($0, false) }) {
            do throws(PostgresError) {
                try await write(isEmptied ? [key] : [], isEmptied ? [] : [key])
            } catch {
                guard case .server = error else { throw error }
                refusal = error
            }
        }
        if let refusal { throw refusal }
    }

    /// Writes statuses. One that the database refuses is polled again later.
    private mutating func record(_ reports: [MessageReport], began: Instant, _ database: any PollDatabase)
        async throws(PostgresError)
    {
        // Before they are written, because a span says what is news.
        let traced = spans == nil ? [] : try await database.traced(reports.map { ($0.key.job, $0.key.sid, $0.status) })
        let refusal = try await database.recordStatus(reports)
        spans?.polled(reports, traced, began: began)
        if let refusal, let count = refused.count(at: .now()) {
            core.log.error(
                "cannot record the status of a message; polling it again later",
                metadata: [LogKeys.error: "\(refusal)", LogKeys.count: "\(count)"])
        }
    }

    /// The results of `body` for all values, without nil. At most `atATime` run at a time.
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

    private static func redact(_ text: String, _ twilio: any MessageReader) async -> Bool {
        guard let sid = MessageSID(text) else { return false }
        return await twilio.redact(sid)
    }

    /// One message as Twilio has it; nil without an answer. It is polled again later.
    private static func fetch(_ key: MessageKey, _ twilio: any MessageReader) async -> MessageReport? {
        guard let sid = MessageSID(key.sid) else { return nil }
        if sid.isCall { return await twilio.call(sid).map { report(of: $0, key) } }
        guard let message = await twilio.message(sid) else { return nil }
        return MessageReport(
            key, status: message.status.rawValue, errorCode: message.errorCode.map(Int32.init(clamping:)),
            segments: message.segments.map { Int32(Int16(clamping: $0)) }, price: message.price.flatMap(decimal),
            priceUnit: message.priceUnit, sender: message.sender)
    }

    /// Ends a call that has not been answered; nil without an answer. It is tried again later.
    private static func cancel(_ key: MessageKey, _ twilio: any MessageReader) async -> MessageReport? {
        guard let sid = MessageSID(key.sid) else { return nil }
        return await twilio.cancel(sid).map { report(of: $0, key) }
    }

    /// A call has no segments, and SQL takes a message without them for one whose bill is still open.
    private static func report(of call: CallResource, _ key: MessageKey) -> MessageReport {
        MessageReport(
            key, status: call.status.rawValue, errorCode: nil, segments: 0, price: call.price.flatMap(decimal),
            priceUnit: call.priceUnit, sender: call.sender)
    }

    /// A price as PostgreSQL's numeric reads it; nil for any other text.
    static func decimal(_ text: String) -> String? {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let isDecimal =
            (1...2).contains(parts.count) && digits.utf8.count <= 30
            && parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        return isDecimal ? text : nil
    }
}

/// What the poller asks of a connection.
protocol PollDatabase: Sendable {
    func dueMessages(limit: Int) async throws(PostgresError) -> PollMessages.Due
    func recordStatus(_ reports: [MessageReport]) async throws(PostgresError) -> PostgresError?
    /// Those of the messages whose requests have a trace.
    func traced(_ statuses: [(job: Int64?, sid: String, status: String)]) async throws(PostgresError) -> [TracedMessages
        .Message]
    func recordRedactions(emptied: [MessageKey], kept: [MessageKey]) async throws(PostgresError)
    /// Messages of forgotten people whose texts are to be emptied.
    func takeRedactions(limit: Int) async throws(PostgresError) -> [PollMessages.Redaction]
    /// Their texts are empty now.
    func endRedactions(_ sids: [String]) async throws(PostgresError)
    /// Messages that backends reported and that are not recorded.
    func takeReports(limit: Int, keys: CodeKeys) async throws(PostgresError) -> [ReportedMessage]
    /// Twilio does not have the message.
    func close(_ report: ReportedMessage) async throws(PostgresError)
}

extension Connection: PollDatabase {
    nonisolated func dueMessages(limit: Int) async throws(PostgresError) -> PollMessages.Due {
        try await PollMessages.run(on: self, limit: limit, deadline: .now() + Times.statement)
    }

    nonisolated func recordStatus(_ reports: [MessageReport]) async throws(PostgresError) -> PostgresError? {
        try await RecordStatus.run(on: self, reports, deadline: .now() + Times.statement)
    }

    nonisolated func traced(_ statuses: [(job: Int64?, sid: String, status: String)])
        async throws(PostgresError) -> [TracedMessages.Message]
    {
        try await TracedMessages.run(on: self, statuses, deadline: .now() + Times.statement)
    }

    nonisolated func recordRedactions(emptied: [MessageKey], kept: [MessageKey]) async throws(PostgresError) {
        try await RecordRedactions.run(on: self, emptied: emptied, kept: kept, deadline: .now() + Times.statement)
    }

    nonisolated func takeRedactions(limit: Int) async throws(PostgresError) -> [PollMessages.Redaction] {
        try await TakeRedactions.run(on: self, limit: limit, deadline: .now() + Times.statement)
    }

    nonisolated func endRedactions(_ sids: [String]) async throws(PostgresError) {
        try await TakeRedactions.end(on: self, sids, deadline: .now() + Times.statement)
    }

    nonisolated func takeReports(limit: Int, keys: CodeKeys) async throws(PostgresError) -> [ReportedMessage] {
        try await ReportedMessages.take(on: self, limit: limit, keys: keys, deadline: .now() + Times.statement)
    }

    nonisolated func close(_ report: ReportedMessage) async throws(PostgresError) {
        try await ReportedMessages.close(on: self, report, deadline: .now() + Times.statement)
    }
}
