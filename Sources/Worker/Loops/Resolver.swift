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
/// Rounds follow each other every 2 s while there is something to look for, else every 20 s, and at once when an outcome
/// of this worker's is unknown. Any worker looks for any job: the one that sent it may be gone.
struct Resolver: Sendable {
    let loop: EventLoop
    let dispatcher: Dispatcher
    let records: Session
    let twilio: TwilioReader
    let rule: ResolutionRule
    let log: Logger

    static let perRound = 20
    static let atATime = 10
    /// How long a look is ours: longer than a round can take, so that its verdicts are still wanted.
    static let lease = Instant.Span.seconds(30)
    /// A whole look, however many pages; then it says nothing. A round is two looks long.
    static let patience = Times.http
    static let busy = Instant.Span.seconds(2)
    static let idle = Instant.Span.seconds(20)
    /// How long after the last one it goes on looking every 2 s: longer than any wait between two looks.
    static let active = Instant.Span.seconds(60)
    /// One phone gets few messages; who gets more than this many pages is not looked through.
    static let mostPages = 20

    /// Resolves until cancelled.
    func run() async {
        var quiet = QuietErrors()
        var activeUntil = Instant.now()
        while !Task.isCancelled {
            var taken = 0
            do {
                taken = try await round()
                quiet.succeeded()
            } catch {
                if case .server = error, quiet.isNew(error) {
                    log.error("unknown outcomes can't be resolved", metadata: [LogKeys.error: "\(error)"])
                }
            }
            let now = Instant.now()
            if taken > 0 { activeUntil = now + Self.active }
            if taken >= Self.perRound { continue }
            if now < activeUntil {
                guard (try? await loop.sleep(for: Self.busy)) != nil else { return }
            } else if await dispatcher.awaitUnknown(atMost: Self.idle) {
                activeUntil = .now() + Self.active
            }
        }
    }

    /// What a look brought: its step, and beside it what else Twilio has of the same code.
    private struct Finding {
        let job: UnknownJob
        var matches: [(sid: MessageSID, status: MessageStatus)] = []
        var hidden: [MessageSID] = []
        var isComplete = true
    }

    /// One round; how many jobs were looked for.
    private func round() async throws(PostgresError) -> Int {
        let connection = try await records.connection(deadline: .now() + Times.statement)
        let jobs = try await TakeUnknown.run(
            on: connection, limit: Self.perRound, lease: Self.lease, deadline: .now() + Times.statement)
        guard !jobs.isEmpty else { return 0 }
        var findings: [Finding] = []
        await withTaskGroup(of: Finding.self) { group in
            var rest = jobs[...]
            for job in rest.prefix(Self.atATime) { group.addTask { await look(for: job) } }
            rest = rest.dropFirst(Self.atATime)
            for await finding in group {
                findings.append(finding)
                if let job = rest.popFirst() { group.addTask { await look(for: job) } }
            }
        }
        let sids = findings.flatMap { $0.matches.map(\.sid) + $0.hidden }
        let known =
            sids.isEmpty ? [] : try await KnownMessages.run(on: connection, sids, deadline: .now() + Times.statement)
        var looks = FinishLook()
        var adopted = 0
        for finding in findings {
            // Oldest first: should there be several, the first is the job's message, the others are kept beside it.
            let matches = finding.matches.filter { !known.contains($0.sid) }.reversed()
            let isHidden = finding.hidden.contains { !known.contains($0) }
            let look: Look =
                matches.first.map { .found($0.sid, $0.status) }
                ?? (finding.isComplete && !isHidden ? .absent : .unclear)
            let step = rule.decide(look, finding.job.subject)
            log.debug(
                "looked for a send at Twilio",
                metadata: [
                    LogKeys.sendJob: "\(finding.job.id)", LogKeys.attempt: "\(finding.job.attempt)",
                    LogKeys.outcome: "\(step.word)",
                ])
            switch step {
            case .adopt(let sid, let status):
                adopted += 1
                await adopt(finding.job, sid, status)
                for second in matches.dropFirst() { await adopt(finding.job, second.sid, second.status) }
            case .lookAgain(let span, let isCounted):
                looks.append(EndedLook(finding.job, .again, delay: Instant.Span(span), isCounted: isCounted))
            case .resend:
                looks.append(
                    EndedLook(
                        finding.job, .resend,
                        error: "Its first request was lost: Twilio does not list it. The same code is sent again.",
                        remedy: "Nothing: it goes by itself."))
            case .fail(let why):
                looks.append(
                    EndedLook(
                        finding.job, .fail, error: Words.sentence(why.error), remedy: Words.sentence(why.remedy)))
            }
        }
        if adopted > 0 {
            log.notice(
                "unknown outcomes resolved: Twilio has these messages", metadata: [LogKeys.count: "\(adopted)"])
        }
        guard looks.count > 0 else { return jobs.count }
        let written = try await looks.run(on: connection, deadline: .now() + Times.statement)
        if written.resent > 0 {
            log.warning(
                "unknown outcomes resolved: Twilio does not have these messages, they are sent again",
                metadata: [LogKeys.count: "\(written.resent)"])
            await dispatcher.jobsAreDue()
        }
        if written.failed > 0 {
            log.error(
                "unknown outcomes resolved: Twilio does not have these messages, and they are not sent again",
                metadata: [LogKeys.count: "\(written.failed)"])
        }
        return jobs.count
    }

    private func adopt(_ job: UnknownJob, _ sid: MessageSID, _ status: MessageStatus) async {
        await dispatcher.adopt(
            AcceptedMessage(
                job: job.id, attempt: job.attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                sid: sid, status: status, sender: nil))
    }

    /// Looks for one job's message.
    private func look(for job: UnknownJob) async -> Finding {
        var finding = Finding(job: job)
        // What libphonenumber vetoes is never handed over: there is nothing to look for.
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
