import EventLoop
import HTTP
import OTP
import Synchronization
import Testing

@testable import Queue
@testable import Tracing
@testable import Worker

/// A channel that notes what it is given.
final class NotingChannel: SendChannel {
    struct Draft: ChannelDraft { let sender: String }

    var posted: [(job: Int64, tag: Int, text: String)] = []
    var outcomes: [Int64: OTP.Outcome] = [:]
    var unsendable: [Int64: Unsendable] = [:]
    var retired = 0
    var onPost: () -> Void = {}

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        if let why = unsendable[job.id] { throw why }
        return Draft(sender: "+15550001")
    }

    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8])
        throws(Unsendable)
    {
        code.append(to: &text)
    }

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        posted.append((job.job.id, tag, String(decoding: text, as: UTF8.self)))
        onPost()
    }

    func outcome(of completion: Completion, for job: ClaimedJob) -> OTP.Outcome { outcomes[job.id]! }

    func retireConnections() { retired += 1 }
}

@Suite struct JobSenderTests {
    @Test("a claim's jobs are handed over with their codes, as many as may be under way")
    func handsOver() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, maxInFlight: 2).ready()
            let channel = NotingChannel()
            let sender = parts.sender(channel)
            claim([job(1), job(2), job(3)], parts, sender)
            #expect(channel.posted.map(\.job) == [1, 2])
            #expect(channel.posted.map(\.text) == ["123456", "123456"])
            #expect(parts.jobs.waiting.jobs == [3] && parts.jobs.handedOver.contains(1))
            #expect(parts.core.machine.inFlight == 2 && parts.recorder.unsaved == 0)
        }
    }

    @Test("after another server was reached, a job that was claimed before goes back")
    func claimedBefore() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, maxInFlight: 1).ready()
            let channel = NotingChannel()
            let sender = parts.sender(channel)
            channel.outcomes[1] = .accepted(.made(1), status: .queued)
            claim([job(1), job(2)], parts, sender)
            parts.reasserter.reached(.made(timeline: 2))
            sender.completed([completion(tag: 0)])
            #expect(channel.posted.map(\.job) == [1] && parts.jobs.waiting.isEmpty)
            #expect(parts.recorder.ids == [1, 2])
            claim([job(2)], parts, sender)
            #expect(channel.posted.map(\.job) == [1, 2], "a claim of that server holds")
            parts.reasserter.reached(.made(timeline: 2))
            claim([job(3)], parts, sender)
            #expect(parts.jobs.waiting.jobs == [3], "the same server again")
        }
    }

    @Test("a job that comes again while it is under way counts from the end of its trust window")
    func claimedAgain() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let sender = parts.sender(NotingChannel())
            claim([job(1)], parts, sender)
            let now = Instant.now()
            let finding = parts.jobs.finding(
                job: 1, attempt: 1, requestedAt: job(1).requestedAt, isResolved: false, at: now)
            guard case .unknown(let age) = finding else {
                Issue.record("\(finding)")
                return
            }
            #expect(age + Times.http < .seconds(0) && age + Times.lease >= .seconds(0))
        }
    }

    @Test("an end makes room for the next job, and its tag is used again")
    func completes() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, maxInFlight: 1).ready()
            let channel = NotingChannel()
            let sender = parts.sender(channel)
            channel.outcomes[1] = .accepted(.made(1), status: .queued)
            claim([job(1), job(2)], parts, sender)
            sender.completed([completion(tag: 0)])
            #expect(channel.posted.map(\.job) == [1, 2] && channel.posted.map(\.tag) == [0, 0])
            #expect(parts.core.tally.accepted == 1 && parts.recorder.unsaved == 1)
            #expect(parts.core.tally.twilioState == "answering")
        }
    }

    @Test("a dead, an expired and a sealed job end without leaving; what the channel refuses ends as it says")
    func doesNotSend() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let channel = NotingChannel()
            channel.unsendable[4] = Unsendable(.failed, error: "It can't.")
            let sender = parts.sender(channel)
            claim(
                [job(1, endReason: .canceled), job(2, life: .milliseconds(500)), job(3, code: nil), job(4)], parts,
                sender)
            #expect(channel.posted.isEmpty && parts.recorder.ids == [1, 2, 3, 4])
            #expect(parts.core.tally.failed == 1 && parts.core.machine.waiting == 0)
            #expect(parts.log.messages == ["codes are sealed under another secret: their jobs wait"])
        }
    }

    @Test("an unknown outcome is remembered, recorded, and looked for at once")
    func unknown() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let channel = NotingChannel()
            channel.outcomes[1] = .unknown(.foreignAnswer)
            let sender = parts.sender(channel)
            claim([job(1)], parts, sender)
            sender.completed([completion(tag: 0)])
            #expect(parts.core.tally.unknown == 1 && parts.recorder.ids == [1])
            #expect(parts.jobs.handedOver.unknownAttempts(at: .now()).map(\.job) == [1])
            #expect(channel.retired == 1, "another message's answer: the connection is one behind")
            #expect(await parts.maintenance.wait(for: .lookUp, since: .now(), atMost: .seconds(60)))
        }
    }

    @Test("a job that this process has handed over before is not sent again")
    func recognizes() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let channel = NotingChannel()
            channel.outcomes[1] = .accepted(.made(1), status: .queued)
            let sender = parts.sender(channel)
            claim([job(1)], parts, sender)
            sender.completed([completion(tag: 0)])
            claim([job(1)], parts, sender)
            #expect(channel.posted.count == 1 && parts.recorder.unsaved == 2)
            #expect(parts.core.tally.accepted == 1 && parts.core.machine.waiting == 0)
        }
    }

    @Test("a claim that may not survive a failover goes back whole")
    func durability() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let channel = NotingChannel()
            let sender = parts.sender(channel)
            claim([job(1), job(2)], parts, sender, warning: "canceling wait for synchronous replication")
            #expect(channel.posted.isEmpty && parts.recorder.ids == [1, 2])
        }
    }

    @Test("a quarantined job counts until it ends")
    func quarantine() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let channel = NotingChannel()
            channel.outcomes[1] = .accepted(.made(1), status: .queued)
            let sender = parts.sender(channel)
            claim([job(1, isQuarantined: true)], parts, sender)
            #expect(parts.jobs.quarantined == 1)
            sender.completed([completion(tag: 0)])
            #expect(parts.jobs.quarantined == 0)
        }
    }

    @Test("a rejection of the account pauses the worker, and what was claimed ahead goes back")
    func pauses() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, maxInFlight: 1).ready()
            let channel = NotingChannel()
            channel.outcomes[1] = .refused(.init(httpStatus: 401, code: 20003))
            let sender = parts.sender(channel)
            claim([job(1), job(2)], parts, sender)
            sender.completed([completion(tag: 0)])
            #expect(channel.posted.map(\.job) == [1] && parts.recorder.ids.sorted() == [1, 2])
            #expect(parts.core.machine.pause.reason != nil && parts.jobs.waiting.isEmpty)
        }
    }

    @Test("a rejection of the old credentials brings a probe with the new ones")
    func oldCredentials() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, maxInFlight: 1).ready()
            let channel = NotingChannel()
            channel.outcomes[1] = .refused(.init(httpStatus: 401, code: 20003))
            let sender = parts.sender(channel)
            claim([job(1)], parts, sender)
            sender.credentialsSince = .now()
            sender.completed([completion(tag: 0)])
            #expect(parts.core.machine.decide(at: .now()) == .claim(limit: 1, .oldestFirst))
        }
    }

    private static let caller = TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")!

    /// The spans of one job with this outcome, or of one that does not leave.
    private func spans(of job: ClaimedJob, _ outcome: OTP.Outcome) async throws -> [Span] {
        let spans = Mutex<[Span]>([])
        try await onLoop { [self] loop in
            let parts = Parts(on: loop).ready()
            let tracer = Tracer(.standard, on: loop)
            let channel = NotingChannel()
            channel.outcomes[1] = outcome
            let sender = parts.sender(channel, spans: JobSpans(tracer))
            claim([job], parts, sender)
            if !channel.posted.isEmpty { sender.completed([completion(tag: 0)]) }
            tracer.withQueue { queue in
                queue.drain()
                if case .export(let made) = queue.next(at: .now()) { spans.withLock { $0 = made } }
            }
        }
        return spans.withLock { $0 }
    }

    @Test("the first attempt continues the caller's trace; a retry and a job that follows have a link to it")
    func origins() async throws {
        let accepted = OTP.Outcome.accepted(.made(1), status: .queued)
        let first = try await spans(of: job(1, caller: Self.caller), accepted)
        #expect(first.count == 2 && first.allSatisfy { $0.context.traceID == Self.caller.traceID && $0.link == nil })
        #expect(first[0].parent == Span.Parent(spanID: Self.caller.spanID, isRemote: true))
        #expect(first[1].parent == Span.Parent(spanID: first[0].context.spanID, isRemote: false))
        for later in [job(1, attempt: 2, caller: Self.caller), job(1, caller: Self.caller, follows: 7)] {
            let spans = try await spans(of: later, accepted)
            #expect(spans.count == 2 && spans[0].link == Self.caller && spans[0].parent == nil)
            #expect(spans[0].context.traceID != Self.caller.traceID)
        }
        let alone = try await spans(of: job(1), accepted)
        #expect(alone.count == 2 && alone[0].link == nil && alone[0].parent == nil)
    }

    @Test(
        "an attempt's span has its outcome and its error",
        arguments: [
            (.refused(.init(httpStatus: 400, code: 21610)), "failed", "21610"),
            (.notSent(.throttled, retryAfter: nil), "retry", "429"),
            (.notSent(.connect, retryAfter: nil), "retry", "connect"),
            (.unknown(.timeout), "unknown", "timeout"), (.accepted(.made(1), status: .queued), "accepted", nil),
        ] as [(OTP.Outcome, String, String?)])
    func outcomes(outcome: OTP.Outcome, word: String, error: String?) async throws {
        let spans = try await spans(of: job(1), outcome)
        guard case .send(let send) = spans.first?.content else {
            Issue.record("\(spans)")
            return
        }
        #expect(send.outcome == word && send.error == error && send.job.id == 1 && send.job.country == "TR")
    }

    @Test("a job that is not handed over has a span without a request, or none if it only goes back")
    func notHandedOver() async throws {
        let canceled = try await spans(of: job(1, endReason: .canceled, caller: Self.caller), .unknown(.timeout))
        #expect(canceled.count == 1 && canceled[0].context.traceID == Self.caller.traceID)
        let expired = try await spans(of: job(1, life: .milliseconds(500)), .unknown(.timeout))
        #expect(expired.count == 1)
        try await onLoop { [self] loop in
            let parts = Parts(on: loop).ready()
            let tracer = Tracer(.standard, on: loop)
            claim([job(1)], parts, parts.sender(NotingChannel(), spans: JobSpans(tracer)), warning: "a standby is away")
            #expect(tracer.withQueue { $0.isEmpty })
        }
    }

    /// As the claimer does it.
    private func claim(
        _ jobs: [ClaimedJob], _ parts: Parts, _ sender: JobSender<NotingChannel>, warning: String? = nil
    ) {
        _ = parts.core.machine.claimEnded(
            count: jobs.count, limit: 512, oldestAge: .seconds(0), at: .now(), jitter: 0)
        sender.take(claimed(jobs, warning: warning), claimedAt: .now())
    }

    private func completion(tag: Int) -> Completion { .made(tag: tag, .unknown(.timedOut)) }
}
