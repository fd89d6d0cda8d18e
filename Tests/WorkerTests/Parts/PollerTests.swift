import EventLoop
import OTP
import Postgres
import Synchronization
import Testing
import Twilio

@testable import Queue
@testable import Worker

/// Twilio, as far as it is read.
final class ReaderStandIn: MessageReader {
    /// The messages that it has, newest first, and as JSON.
    let messages: [MessageResource]
    private let texts: [String]
    let canRedact: Bool
    let isUnclear: Bool
    private let asked = Mutex<[String]>([])

    init(_ texts: [String] = [], canRedact: Bool = true, isUnclear: Bool = false) {
        self.texts = texts
        messages = texts.map { try! MessageResource(json: $0.utf8.span) }
        self.canRedact = canRedact
        self.isUnclear = isUnclear
    }

    var calls: [String] { asked.withLock { $0 } }

    func message(_ sid: MessageSID) async -> MessageResource? {
        asked.withLock { $0.append("message") }
        return messages.first { $0.sid == sid }
    }

    func lookUp(_ sid: MessageSID) async -> MessageLookup {
        if isUnclear { return .unclear }
        return messages.first { $0.sid == sid }.map { .found($0) } ?? .absent
    }

    func redact(_ sid: MessageSID) async -> Bool { canRedact }

    func list(to number: PhoneNumber, by channel: Channel, pageSize: Int) -> String { "/first" }

    /// Calls that it has, as JSON by SID.
    let heldCalls = Mutex<[String: String]>([:])

    func call(_ sid: MessageSID) async -> CallResource? {
        asked.withLock { $0.append("call") }
        return heldCalls.withLock { $0["\(sid)"] }.flatMap { try? CallResource(json: $0.utf8.span) }
    }

    func cancel(_ sid: MessageSID) async -> CallResource? {
        asked.withLock { $0.append("cancel") }
        return heldCalls.withLock { $0["\(sid)"] }.flatMap { try? CallResource(json: $0.utf8.span) }
    }

    func calls(to number: PhoneNumber, from caller: CallSender, pageSize: Int) -> String { "/calls" }

    func callPage(_ path: String, deadline: Instant) async -> CallPage? {
        asked.withLock { $0.append(path) }
        if isUnclear { return nil }
        let list = heldCalls.withLock { $0.values.joined(separator: ",") }
        return try? CallPage(json: "{\"calls\":[\(list)],\"next_page_uri\":null}".utf8.span)
    }

    func page(_ path: String, deadline: Instant) async -> MessagePage? {
        asked.withLock { $0.append(path) }
        if isUnclear { return nil }
        let list = texts.joined(separator: ",")
        return try? MessagePage(json: "{\"messages\":[\(list)],\"next_page_uri\":null}".utf8.span)
    }

    /// A delivered message with `code` in its text.
    static func message(_ number: Int, code: String = "123456") -> String {
        """
        {"sid":"\(MessageSID.made(number))","status":"delivered","num_segments":"1","price":"-0.0075","price_unit":"USD",
        "from":"+15550001","to":"+905321234567","body":"\(code) is your code","date_created":
        "Thu, 24 Aug 2023 05:01:45 +0000","date_sent":null,"error_code":null}
        """
    }

    /// When that message was created, in microseconds since 1970.
    static let createdAt: Int64 = 1_692_853_305_000_000
}

/// A connection that polls.
private final class PollStandIn: PollDatabase {
    let due: Script<Int, PollMessages.Due>
    let reports: [ReportedMessage]
    let statuses = Script<[MessageReport], Void>(then: ())
    let redactions: Script<[[MessageKey]], Void>
    let closed = Script<Int64, Void>(then: ())

    init(
        _ due: [Result<PollMessages.Due, PostgresError>] = [], reports: [ReportedMessage] = [],
        redactions: [Result<Void, PostgresError>] = [],
        forgotten: [Result<[PollMessages.Redaction], PostgresError>] = []
    ) {
        self.forgotten = Script(forgotten, then: [])
        self.due = Script(due, then: PollMessages.Due())
        self.reports = reports
        self.redactions = Script(redactions, then: ())
    }

    var source: ConnectionSource<any PollDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func dueMessages(limit: Int) async throws(PostgresError) -> PollMessages.Due { try due.answer(limit) }

    func recordStatus(_ reports: [MessageReport]) async throws(PostgresError) -> PostgresError? {
        try statuses.answer(reports)
        return nil
    }

    func traced(_ statuses: [(job: Int64?, sid: String, status: String)]) async throws(PostgresError) -> [TracedMessages
        .Message]
    {
        []
    }

    func recordRedactions(emptied: [MessageKey], kept: [MessageKey]) async throws(PostgresError) {
        try redactions.answer([emptied, kept])
    }

    let forgotten: Script<Int, [PollMessages.Redaction]>
    let forgottenEnds = Script<[String], Void>(then: ())

    func takeRedactions(limit: Int) async throws(PostgresError) -> [PollMessages.Redaction] {
        try forgotten.answer(limit)
    }

    func endRedactions(_ sids: [String]) async throws(PostgresError) { try forgottenEnds.answer(sids) }

    func takeReports(limit: Int, keys: CodeKeys) async throws(PostgresError) -> [ReportedMessage] { reports }

    func close(_ report: ReportedMessage) async throws(PostgresError) { try closed.answer(report.job) }
}

@Suite struct PollerTests {
    private static let sid = MessageSID.made(1)
    private static let key = MessageKey(job: 1, sid: "\(MessageSID.made(1))")

    @Test("texts of forgotten people are emptied, and those that Twilio keeps stay due", arguments: [true, false])
    func forgotten(canRedact: Bool) async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PollStandIn(
                forgotten: [.success([.init(key: Self.key, isLastTry: false)])])
            var poller = Self.poller(parts, database, ReaderStandIn(canRedact: canRedact))
            #expect(await poller.round() == .shortest)
            #expect(database.forgottenEnds.calls == (canRedact ? [["\(Self.sid)"]] : []))
            #expect(database.redactions.calls.isEmpty)
        }
    }

    @Test("the status and price of a due message are recorded")
    func status() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PollStandIn([
                .success(.init(toFetch: [Self.key, MessageKey(job: 2, sid: "\(MessageSID.made(2))")], taken: 2))
            ])
            var poller = Self.poller(parts, database, ReaderStandIn([ReaderStandIn.message(1)]))
            #expect(await poller.round() == .shortest)
            #expect(database.due.calls == [Poller.perRound])
            let report = try #require(database.statuses.calls.first?.first)
            #expect(database.statuses.calls.first?.count == 1, "the other one is asked for again")
            #expect(report.key == Self.key && report.status == "delivered" && report.price == "-0.0075")
        }
    }

    @Test("with nothing to ask for, rounds become rarer up to a minute; an accepted message makes them frequent again")
    func cadence() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            var poller = Self.poller(parts, PollStandIn(), ReaderStandIn())
            var spans: [Double] = []
            for _ in 0..<6 {
                if case .wanted(_, let span) = await poller.round() { spans.append(span.seconds) }
            }
            #expect(spans == [4, 8, 16, 32, 60, 60])
            parts.core.tally.accepted = 1
            #expect(await poller.round() == .shortest)
        }
    }

    @Test("texts are emptied, and those that can't be are kept with their last try")
    func redactions() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let due = PollMessages.Due(toFetch: [], toRedact: [.init(key: Self.key, isLastTry: true)], taken: 1)
            let database = PollStandIn([.success(due), .success(due)])
            var poller = Self.poller(parts, database, ReaderStandIn())
            _ = await poller.round()
            var other = Self.poller(parts, database, ReaderStandIn(canRedact: false))
            _ = await other.round()
            #expect(database.redactions.calls == [[[Self.key], []], [[], [Self.key]]])
            #expect(parts.log.messages == ["Twilio still has the texts of messages; redaction is not tried again"])
        }
    }

    @Test("redactions that are refused together are written one by one")
    func refusedRedactions() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let two = [1, 2].map {
                PollMessages.Redaction(key: MessageKey(job: Int64($0), sid: "\(MessageSID.made($0))"), isLastTry: false)
            }
            let database = PollStandIn(
                [.success(.init(toFetch: [], toRedact: two, taken: 2))], redactions: [.failure(.refused("23514"))])
            var poller = Self.poller(parts, database, ReaderStandIn())
            _ = await poller.round()
            #expect(database.redactions.calls.map { $0[0].count } == [2, 1, 1])
        }
    }

    @Test(
        "a reported message that is the job's is adopted; one that is not counts for nothing, at its last try if absent"
    )
    func reports() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PollStandIn(reports: [
                Self.report(1), Self.report(2), Self.report(3), Self.report(4, isLastTry: true),
            ])
            let twilio = ReaderStandIn([ReaderStandIn.message(1), ReaderStandIn.message(2, code: "654321")])
            var poller = Self.poller(parts, database, twilio)
            #expect(await poller.round() == .shortest)
            #expect(parts.recorder.ids == [1] && parts.core.tally.accepted == 1)
            #expect(database.closed.calls.sorted() == [2, 4])
        }
    }

    @Test("a refusal of the database is logged once, and the poll is tried again")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PollStandIn([.failure(.refused("42501")), .failure(.refused("42501"))])
            var poller = Self.poller(parts, database, ReaderStandIn())
            for _ in 0..<2 { _ = await poller.round() }
            #expect(parts.log.messages == ["cannot poll messages; trying again"])
        }
    }

    private static func report(_ job: Int64, isLastTry: Bool = false) -> ReportedMessage {
        ReportedMessage(
            job: job, sid: .made(Int(job)), isLastTry: isLastTry, requestedAt: ReaderStandIn.createdAt,
            recipient: .parts, code: try! Code("123456"))
    }

    private static func poller(_ parts: Parts, _ database: PollStandIn, _ twilio: ReaderStandIn) -> Poller {
        Poller(parts.core, parts.maintenance, parts.recorder, database.source, twilio: twilio, keys: .parts)
    }
}
