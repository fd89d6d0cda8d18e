import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime
import Twilio

/// Tells Twilio which codes were used, while `otp.settings.message_feedback` is on. `FeedbackMachine` decides.
///
/// A round takes the codes that are due (`TakeFeedback`), confirms their messages a few at a time, and records what came
/// of it (`FinishFeedback`). Nothing is asked while this worker is paused or drains, or while Twilio accepts fewer
/// requests than it is sent. Any worker tells of any code. A crash in between means that Twilio is told twice, which
/// changes nothing. Confined to the loop.
struct FeedbackLoop: BackgroundLoop {
    /// Until it looks at the setting again, while that is off.
    static let off = Instant.Duration.seconds(5)

    private let core: DispatchCore
    private let catalog: Catalog
    private let records: ConnectionSource<any FeedbackDatabase>
    private let twilio: any FeedbackSender
    private var machine = FeedbackMachine()
    private var errors = LogOnce()
    private var refusals = LogOnce()
    private var givenUp = LogThrottle(every: .seconds(60))
    private var unavailable = LogThrottle(every: .seconds(60))

    init(
        _ core: DispatchCore, _ catalog: Catalog, _ records: ConnectionSource<any FeedbackDatabase>,
        _ twilio: any FeedbackSender
    ) {
        (self.core, self.catalog, self.records, self.twilio) = (core, catalog, records, twilio)
    }

    /// Returns how long until the next round.
    mutating func round() async -> Instant.Duration {
        guard catalog.givesFeedback else { return Self.off }
        guard core.machine.allowsFeedback, !machine.isHeld(at: .now()) else { return FeedbackMachine.busy }
        do {
            let items = try await records.connection().takeFeedback(
                limit: FeedbackMachine.perRound, lease: FeedbackMachine.lease)
            let results = await confirm(items)
            if !results.isEmpty { try await records.connection().finish(results) }
            errors.succeeded()
            return machine.wait(after: items.count)
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error(
                    "cannot take or record feedback for Twilio; trying again", metadata: .of(error))
            }
            return FeedbackMachine.idle
        }
    }

    func pause(_ wait: Instant.Duration) async { try? await core.loop.sleep(for: wait) }

    /// Confirms the messages of these codes, a few at a time.
    private mutating func confirm(_ items: [TakeFeedback.Item]) async -> FinishFeedback {
        var results = FinishFeedback()
        var rest = items[...]
        while !rest.isEmpty {
            let part = rest.prefix(FeedbackMachine.atATime)
            rest = rest.dropFirst(FeedbackMachine.atATime)
            var asked: [(TakeFeedback.Item, MessageSID)] = []
            for item in part {
                switch machine.step(for: item, at: .now()) {
                // A pause may have begun since the round did.
                case .confirm where !core.machine.allowsFeedback:
                    add(.again(after: FeedbackMachine.idle, isCounted: false), item, to: &results)
                case .confirm(let text):
                    if let sid = MessageSID(text) {
                        asked.append((item, sid))
                    } else {
                        add(.end(.unavailable), item, to: &results)
                    }
                case .end(let outcome): add(.end(outcome), item, to: &results)
                case .again(let delay, let isCounted):
                    add(.again(after: delay, isCounted: isCounted), item, to: &results)
                }
            }
            for (item, answer) in await answers(to: asked) {
                say(answer)
                add(machine.answered(answer, for: item, at: .now()), item, to: &results)
            }
        }
        return results
    }

    private func answers(to asked: [(TakeFeedback.Item, MessageSID)]) async -> [(TakeFeedback.Item, FeedbackAnswer)] {
        await withTaskGroup(of: (TakeFeedback.Item, FeedbackAnswer).self) { [twilio] group in
            for (item, sid) in asked { group.addTask { (item, await twilio.confirm(sid)) } }
            var answers: [(TakeFeedback.Item, FeedbackAnswer)] = []
            for await answer in group { answers.append(answer) }
            return answers
        }
    }

    private mutating func add(_ step: FeedbackMachine.Step, _ item: TakeFeedback.Item, to results: inout FinishFeedback)
    {
        switch step {
        case .confirm: preconditionFailure("a code that was to be confirmed has no answer")
        case .again(let delay, let isCounted):
            results.again.append(.init(verification: item.verification, delay: delay, isCounted: isCounted))
        case .end(let outcome):
            results.ended.append((item.verification, outcome))
            switch outcome {
            case .confirmed, .noMessage: break
            case .unavailable:
                if let count = unavailable.count(at: .now()) {
                    core.log.info(
                        "Twilio takes no feedback for messages whose codes were used",
                        metadata: [LogKeys.count: "\(count)"])
                }
            case .givenUp:
                if let count = givenUp.count(at: .now()) {
                    core.log.warning(
                        "gave up telling Twilio of used codes: it gave no clear answer for a day",
                        metadata: [LogKeys.count: "\(count)"])
                }
            }
        }
    }

    /// Logs that Twilio refuses feedback, once, and that it takes it again.
    private mutating func say(_ answer: FeedbackAnswer) {
        switch answer {
        case .confirmed: refusals.succeeded()
        case .refused(let code):
            guard refusals.isNew("\(code ?? 0)") else { return }
            core.log.error(
                "Twilio refuses feedback about messages; trying again, and sends go on",
                metadata: [
                    LogKeys.errorCode: "\(code.map(String.init) ?? "none")",
                    LogKeys.remedy: """
                    Give the API key the permission to create message feedback, or set otp.settings.message_feedback to \
                    false.
                    """,
                ])
        case .unavailable, .throttled, .unclear: break
        }
    }
}

/// What the feedback loop asks of Twilio. Tests use a stand-in.
protocol FeedbackSender: Sendable {
    /// Tells Twilio that a message's code was used. Repeating it is harmless.
    func confirm(_ sid: MessageSID) async -> FeedbackAnswer
}

/// What the feedback loop asks of a connection.
protocol FeedbackDatabase: Sendable {
    func takeFeedback(limit: Int, lease: Instant.Duration) async throws(PostgresError) -> [TakeFeedback.Item]
    func finish(_ feedback: FinishFeedback) async throws(PostgresError)
}

extension Connection: FeedbackDatabase {
    nonisolated func takeFeedback(limit: Int, lease: Instant.Duration)
        async throws(PostgresError) -> [TakeFeedback.Item]
    {
        try await TakeFeedback.run(on: self, limit: limit, lease: lease, deadline: .now() + Times.statement)
    }

    nonisolated func finish(_ feedback: FinishFeedback) async throws(PostgresError) {
        try await feedback.run(on: self, deadline: .now() + Times.statement)
    }
}
