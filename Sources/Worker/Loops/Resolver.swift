import EventLoop
import HTTP
import Logging
import OTP
import Postgres
import Queue
import Twilio

/// Finds out what became of sends whose outcome is unknown: looks for their messages in Twilio's own list, and does what
/// `ResolutionRule` decides.
///
/// Up to ten looks are under way at a time, over connections that nothing else uses (`Worker`). A look that hangs delays no
/// other: its place alone stays taken. The database is asked for more as soon as a look has ended, every 2 s while there is
/// something to look for, else when a look is due by the last heartbeat (`Agenda`; without heartbeats every 20 s), and at
/// once when an outcome of this worker's is unknown. Any worker looks for any job: the one that sent it may be gone.
struct Resolver: Sendable {
    let loop: EventLoop
    let dispatcher: Dispatcher
    let records: Session
    let twilio: TwilioReader
    let keys: CodeKeys
    let rule: ResolutionRule
    let log: Logger

    /// Looks under way at a time.
    static let atATime = 10
    /// How long a look is ours: longer than one can take, with what it asks Twilio and what it asks the database, so that its
    /// verdict is still wanted; and not much longer, since where a worker dies with a look in hand its job waits for that.
    static let lease = Instant.Span.seconds(25)
    /// A whole look, however many pages; then it says nothing.
    static let patience = Times.http
    static let busy = Instant.Span.seconds(2)
    static let idle = Instant.Span.seconds(20)
    /// How long after the last one it goes on looking every 2 s: longer than any wait between two looks.
    static let active = Instant.Span.seconds(60)
    /// One phone gets few messages; who gets more than this many pages is not looked through.
    static let mostPages = 20

    /// Resolves until cancelled.
    func run() async {
        await withTaskGroup(of: Event.self) { group in
            var quiet = QuietErrors()
            var activeUntil = Instant.now()
            var (underWay, isTicking) = (0, false)
            var said = Said()
            while !Task.isCancelled {
                let began = Instant.now()
                let room = Self.atATime - underWay
                await dispatcher.begin(.look)
                do throws(PostgresError) {
                    let jobs = room > 0 ? try await take(room) : []
                    underWay += jobs.count
                    for job in jobs { group.addTask { .ended(await verdict(on: job)) } }
                    if !jobs.isEmpty { activeUntil = .now() + Self.active }
                    quiet.succeeded()
                } catch {
                    if case .server = error, quiet.isNew(error) { report(error) }
                }
                if underWay == 0, .now() >= activeUntil {
                    if await dispatcher.awaitErrand(.look, since: began, atMost: Self.idle) {
                        activeUntil = .now() + Self.active
                    }
                    continue
                }
                if !isTicking {
                    isTicking = true
                    group.addTask {
                        try? await loop.sleep(for: Self.busy)
                        return .tick
                    }
                }
                switch await group.next() {
                case .ended(let verdict)?:
                    underWay -= 1
                    do throws(PostgresError) {
                        try await write(verdict, &said)
                    } catch {
                        // Its lease lapses, and it is looked for again.
                        if case .server = error, quiet.isNew(error) { report(error) }
                    }
                case .tick?: isTicking = false
                case nil: break
                }
            }
            group.cancelAll()
        }
    }

    private enum Event: Sendable {
        case ended(Verdict)
        case tick
    }

    private func report(_ error: PostgresError) {
        log.error("unknown outcomes can't be resolved", metadata: [LogKeys.error: "\(error)"])
    }

    private func take(_ limit: Int) async throws(PostgresError) -> [UnknownJob] {
        let connection = try await records.connection(deadline: .now() + Times.statement)
        return try await TakeUnknown.run(
            on: connection, limit: limit, keys: keys, lease: Self.lease, deadline: .now() + Times.statement)
    }

    /// Writes what a look came to; what was found has been adopted already.
    private func write(_ verdict: Verdict, _ said: inout Said) async throws(PostgresError) {
        guard case .ended(let look) = verdict else {
            if let count = said.adopted.count(at: .now()) {
                log.notice(
                    "unknown outcomes resolved: Twilio has these messages", metadata: [LogKeys.count: "\(count)"])
            }
            return
        }
        var looks = FinishLookup()
        looks.append(look)
        let connection = try await records.connection(deadline: .now() + Times.statement)
        let written = try await looks.run(on: connection, deadline: .now() + Times.statement)
        if written.resent > 0 {
            await dispatcher.jobsAreDue()
            if let count = said.resent.count(at: .now()) {
                log.warning(
                    "unknown outcomes resolved: Twilio does not have these messages, they are sent again",
                    metadata: [LogKeys.count: "\(count)"])
            }
        }
        if written.failed > 0, let count = said.failed.count(at: .now()) {
            log.error(
                "jobs with an unknown outcome failed: Twilio showed no message, and they are not sent again",
                metadata: [LogKeys.count: "\(count)"])
        }
    }

    /// What can happen often is said once a second, with its count.
    private struct Said {
        var adopted = LogThrottle()
        var resent = LogThrottle()
        var failed = LogThrottle()
    }

    private enum Verdict: Sendable {
        case adopted
        case ended(EndedLookup)
    }

    /// Looks for one job, and decides.
    private func verdict(on job: UnknownJob) async -> Verdict {
        var finding = await look(for: job)
        let sids = finding.matches.map(\.sid) + finding.hidden
        if !sids.isEmpty {
            do {
                let connection = try await records.connection(deadline: .now() + Times.statement)
                let known = try await KnownMessages.run(on: connection, sids, deadline: .now() + Times.statement)
                finding.matches.removeAll { known.contains($0.sid) }
                finding.hidden.removeAll { known.contains($0) }
            } catch {
                // What is not known to be another job's can't be taken for this one's.
                finding = Finding(isComplete: false)
            }
        }
        // Oldest first: should there be several, the first is the job's message, the others are kept beside it.
        let matches = finding.matches.reversed()
        let missed: Look = finding.isComplete && finding.hidden.isEmpty ? .absent : .unclear
        let step = rule.decide(matches.first.map { .found($0.sid, $0.status) } ?? missed, job.subject)
        log.debug(
            "looked for a send at Twilio",
            metadata: [
                LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)", LogKeys.outcome: "\(step.word)",
            ])
        switch step {
        case .adopt:
            for match in matches {
                await dispatcher.adopt(
                    AcceptedMessage(
                        job: job.id, attempt: job.attempt, verification: job.verificationID,
                        requestedAt: job.requestedAt, sid: match.sid, status: match.status, sender: nil))
            }
            return .adopted
        case .lookAgain(let span, let isCounted):
            return .ended(EndedLookup(job, .again, delay: Instant.Span(span), isCounted: isCounted))
        case .resend:
            return .ended(
                EndedLookup(
                    job, .resend,
                    error: "Its first request was lost: Twilio does not list it. The same code is sent again.",
                    remedy: "Nothing: it goes by itself."))
        case .fail(let why):
            return .ended(
                EndedLookup(job, .fail, error: Words.sentence(why.error), remedy: Words.sentence(why.remedy)))
        }
    }

    /// What a look brought.
    private struct Finding {
        var matches: [(sid: MessageSID, status: MessageStatus)] = []
        var hidden: [MessageSID] = []
        var isComplete = true
    }

    /// Looks for one job's message.
    private func look(for job: UnknownJob) async -> Finding {
        var finding = Finding()
        // What is not E.164 is never handed over: there is nothing to look for.
        guard let recipient = job.recipient else { return finding }
        guard let code = job.code else {
            finding.isComplete = false
            return finding
        }
        var search = MessageSearch(for: code, to: recipient, since: job.requestedAt / 1_000_000)
        finding.isComplete = false
        let deadline = Instant.now() + Self.patience
        var path: String? = twilio.endpoint.messages(to: recipient, pageSize: 100)
        for _ in 0..<Self.mostPages {
            guard let next = path else { break }
            guard let page = await twilio.page(next, deadline: deadline) else { break }
            path = page.nextPage
            guard search.read(page) else {
                finding.isComplete = true
                break
            }
        }
        finding.matches = search.matches
        finding.hidden = search.hidden
        return finding
    }
}

extension ResolutionStep {
    /// For the log.
    fileprivate var word: String {
        switch self {
        case .adopt: "adopt"
        case .lookAgain: "look_again"
        case .resend: "resend"
        case .fail: "fail"
        }
    }
}
