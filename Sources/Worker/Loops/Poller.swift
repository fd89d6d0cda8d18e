import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Twilio

/// Asks Twilio for the status of messages that have no final one: at most `perRound` a round, a few at a time.
///
/// Rounds follow each other every 2 s while there are messages to ask for, and more and more rarely, up to a minute, while
/// there are none.
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
            do {
                asked = try await round()
                quiet.succeeded()
            } catch {
                if case .server = error, quiet.isNew(error) {
                    log.error("message statuses can't be polled", metadata: [LogKeys.error: "\(error)"])
                }
            }
            let now = await dispatcher.counters.accepted
            let isBusy = asked > 0 || now != accepted
            accepted = now
            wait = isBusy ? Self.shortest : min(Self.longest, wait + wait)
            guard (try? await loop.sleep(for: Self.shortest)) != nil else { return }
            if !isBusy { await dispatcher.awaitAccepted(atMost: wait) }
        }
    }

    /// One round; how many messages were asked for.
    private func round() async throws(PostgresError) -> Int {
        let connection = try await records.connection(deadline: .now() + Times.statement)
        let sids = try await PollMessages.run(
            on: connection, limit: Self.perRound, deadline: .now() + Times.statement)
        var reports: [MessageReport] = []
        var rest = sids[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.atATime)
            rest = rest.dropFirst(Self.atATime)
            await withTaskGroup(of: MessageReport?.self) { group in
                for sid in part { group.addTask { await fetch(sid) } }
                for await report in group { if let report { reports.append(report) } }
            }
        }
        if !reports.isEmpty {
            try await RecordStatus.run(on: connection, reports, deadline: .now() + Times.statement)
        }
        return sids.count
    }

    /// What Twilio says of one message; nil when it says nothing now: it is asked again later.
    private func fetch(_ text: String) async -> MessageReport? {
        guard let sid = MessageSID(text), let message = await twilio.message(sid) else { return nil }
        return MessageReport(
            sid: text, status: message.status.rawValue, errorCode: message.errorCode.map(Int32.init(clamping:)),
            segments: message.segments.map(Int32.init(clamping:)), price: message.price.flatMap(Self.decimal),
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
