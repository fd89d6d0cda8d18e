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
/// heartbeat (`Agenda`); without heartbeats more and more rarely, up to a minute.
struct Poller {
    let loop: EventLoop
    let dispatcher: Dispatcher
    let records: Session
    let twilio: TwilioReader
    let log: Logger

    static let perRound = 20
    static let atATime = 5
    static let shortest = Instant.Span.seconds(2)
    static let longest = Instant.Span.seconds(60)

    /// Polls until cancelled.
    func run() async {
        var wait = Self.shortest
        var accepted: Int64 = 0
        var quiet = QuietErrors()
        while !Task.isCancelled {
            var asked = 0
            let began = Instant.now()
            await dispatcher.begin(.poll)
            do {
                asked = try await round()
                quiet.succeeded()
            } catch {
                if case .server = error, quiet.isNew(error) {
                    log.error("messages can't be asked for", metadata: [LogKeys.error: "\(error)"])
                }
            }
            let now = await dispatcher.counters.accepted
            let isBusy = asked > 0 || now != accepted
            accepted = now
            wait = isBusy ? Self.shortest : min(Self.longest, wait + wait)
            guard (try? await loop.sleep(for: Self.shortest)) != nil else { return }
            if !isBusy { await dispatcher.awaitErrand(.poll, since: began, atMost: wait) }
        }
    }

    /// One round; how many messages were asked for.
    private func round() async throws(PostgresError) -> Int {
        let connection = try await records.connection(deadline: .now() + Times.statement)
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
            try await RecordRedactions.run(
                on: connection, emptied: emptied, kept: kept, deadline: .now() + Times.statement)
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
        return due.taken
    }

    /// Writes reports; once more where the database had to choose between this statement and another's.
    private func record(_ reports: [MessageReport], _ connection: Connection) async throws(PostgresError) {
        do {
            try await RecordStatus.run(on: connection, reports, deadline: .now() + Times.statement)
        } catch {
            guard case .server(let refusal) = error, ["40001", "40P01", "55P03"].contains(refusal.sqlstate) else {
                throw error
            }
            try await RecordStatus.run(on: connection, reports, deadline: .now() + Times.statement)
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
