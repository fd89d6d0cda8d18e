import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime
import Twilio

/// The result of a lookup.
enum LookupResult: Sendable {
    case adopted
    case ended(EndedLookup)
}

/// Performs lookups side by side, over connections that nothing else uses (`Worker`).
typealias LookupPool = RequestPool<UnknownJob, LookupResult>

extension LookupPool {
    /// Lookups under way at a time.
    static var atATime: Int { 10 }

    convenience init(_ lookups: Lookups, on loop: EventLoop) {
        self.init(on: loop) { job in await lookups.verdict(on: job) }
    }
}

/// Looks up the messages of single jobs; many lookups can run at a time.
struct Lookups: Sendable {
    /// The longest that a lookup may take, however many pages it reads. After that it decides nothing.
    static let timeout = Times.http
    /// The most pages that a lookup reads. One phone number gets few messages.
    static let mostPages = 20

    let records: ConnectionSource<any LookupDatabase>
    let twilio: any MessageReader
    let rule: ResolutionRule
    let log: Logger
    /// The number that calls to a country come from.
    let caller: @Sendable (String) async -> CallSender?
    let adopt: @Sendable (AcceptedMessage) async -> Void
    /// Nil without traces.
    var spans: JobSpans?

    /// Looks for one job, and decides.
    func verdict(on job: UnknownJob) async -> LookupResult {
        let began = Instant.now()
        var finding = await search(for: job)
        let sids = finding.matches.map(\.sid) + finding.hidden
        if !sids.isEmpty {
            do {
                let known = try await records.connection().known(sids)
                finding.matches.removeAll { known.contains($0.sid) }
                finding.hidden.removeAll { known.contains($0) }
            } catch {
                // A message that may be another job's must not be taken for this one's.
                finding = Finding(isComplete: false)
            }
        }
        // Oldest first: if there are several, the first is the job's message, and the others are kept beside it.
        let matches = finding.matches.reversed()
        let missed: Lookup = finding.isComplete && finding.hidden.isEmpty ? .absent : .unclear
        let step = rule.decide(matches.first.map { .found($0.sid, $0.status) } ?? missed, job.subject)
        let span = spans?.lookedUp(job, outcome: step.word, began: began) ?? job.caller
        log.debug(
            "looked up a send at Twilio",
            metadata: [
                LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)", LogKeys.outcome: "\(step.word)",
            ].joined(to: span))
        switch step {
        case .adopt:
            for match in matches {
                await adopt(
                    AcceptedMessage(
                        job: job.id, attempt: job.attempt, verification: job.verificationID,
                        requestedAt: job.requestedAt, sid: match.sid, status: match.status, sender: nil))
            }
            return .adopted
        case .lookUpAgain(let span, let isCounted):
            return .ended(EndedLookup(job, .again, delay: Instant.Duration(span), isCounted: isCounted))
        case .resend:
            return .ended(
                EndedLookup(
                    job, .resend,
                    error: "The first request was lost: Twilio does not list its message. The same code is sent again.",
                    remedy: "Nothing to do: otpd sends it again by itself."))
        case .fail(let why):
            return .ended(
                EndedLookup(job, .fail, error: Sentence.whole(why.error), remedy: Sentence.whole(why.remedy)))
        }
    }

    /// What a lookup found.
    fileprivate struct Finding {
        var matches: [(sid: MessageSID, status: MessageStatus)] = []
        var hidden: [MessageSID] = []
        var isComplete = true
    }

    /// Looks for one job's message.
    private func search(for job: UnknownJob) async -> Finding {
        var finding = Finding()
        // A mail server keeps no list. A number that is not E.164 was never handed over. So there is nothing to look for.
        guard job.channel != .email, let recipient = job.recipient else { return finding }
        if job.channel == .call { return await lookForCall(of: job, to: recipient) }
        guard let code = job.code else {
            finding.isComplete = false
            return finding
        }
        var search = MessageSearch(for: code, to: recipient, by: job.channel, since: job.requestedAt / 1_000_000)
        finding.isComplete = await readPages(from: twilio.list(to: recipient, by: job.channel, pageSize: 100)) {
            await twilio.page($0, deadline: $1).map { (search.read($0), $0.nextPage) }
        }
        finding.matches = search.matches
        finding.hidden = search.hidden
        return finding
    }
}

extension Lookups {
    /// How long after its request a job's call can have been created, in seconds: the life of a code, and more.
    private static let longestLife: Int64 = 900

    /// Reads a list from its first page on, while older pages may hold more. Returns whether it was read to its end.
    fileprivate func readPages(
        from first: String, read: (String, Instant) async -> (goesOn: Bool, next: String?)?
    ) async -> Bool {
        let deadline = Instant.now() + Self.timeout
        var path: String? = first
        for _ in 0..<Self.mostPages {
            guard let next = path, let page = await read(next, deadline) else { return false }
            guard page.goesOn else { return true }
            path = page.next
        }
        return false
    }

    /// Looks for one job's call. Twilio does not list what a call said, so the time of its creation tells.
    private func lookForCall(of job: UnknownJob, to recipient: PhoneNumber) async -> Finding {
        var finding = Finding(isComplete: false)
        // Without a number to call from, nothing can be told about the calls that Twilio lists.
        guard let caller = await caller(job.country) else { return finding }
        let requestedAt = job.requestedAt / 1_000_000
        var search = CallSearch(
            to: recipient, from: caller, since: requestedAt, until: requestedAt + Self.longestLife)
        finding.isComplete = await readPages(from: twilio.calls(to: recipient, from: caller, pageSize: 100)) {
            await twilio.callPage($0, deadline: $1).map { (search.read($0), $0.nextPage) }
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
        case .lookUpAgain: "look_up_again"
        case .resend: "resend"
        case .fail: "fail"
        }
    }
}

/// What the reconciler and its lookups ask of a connection.
protocol LookupDatabase: Sendable {
    func takeUnknown(limit: Int, keys: CodeKeys, lease: Instant.Duration) async throws(PostgresError) -> [UnknownJob]
    func finish(_ lookups: FinishLookup) async throws(PostgresError) -> FinishLookup.Written
    func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID>
}

extension Connection: LookupDatabase {
    nonisolated func takeUnknown(limit: Int, keys: CodeKeys, lease: Instant.Duration)
        async throws(PostgresError) -> [UnknownJob]
    {
        try await TakeUnknown.run(
            on: self, limit: limit, keys: keys, lease: lease, deadline: .now() + Times.statement)
    }

    nonisolated func finish(_ lookups: FinishLookup) async throws(PostgresError) -> FinishLookup.Written {
        try await lookups.run(on: self, deadline: .now() + Times.statement)
    }
}
