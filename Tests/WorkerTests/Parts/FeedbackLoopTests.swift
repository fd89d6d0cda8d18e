import EventLoop
import OTP
import Postgres
import Synchronization
import Testing
import Twilio

@testable import Queue
@testable import Worker

/// Twilio, as far as it takes feedback.
private final class FeedbackStandIn: FeedbackSender {
    private let answers: [FeedbackAnswer]
    private let state = Mutex<(asked: [String], underWay: Int, most: Int)>(([], 0, 0))
    private let during: @Sendable (Int) -> Void

    /// Gives the answers in order, the last one again and again. `during` is called with the number of the request.
    init(_ answers: FeedbackAnswer..., during: @escaping @Sendable (Int) -> Void = { _ in }) {
        self.answers = answers
        self.during = during
    }

    var asked: [String] { state.withLock { $0.asked.sorted() } }
    /// The most requests at a time.
    var most: Int { state.withLock { $0.most } }

    func confirm(_ sid: MessageSID) async -> FeedbackAnswer {
        let number = state.withLock { state in
            state.asked.append("\(sid)")
            state.underWay += 1
            state.most = max(state.most, state.underWay)
            return state.asked.count
        }
        during(number)
        await Task.yield()
        state.withLock { $0.underWay -= 1 }
        return answers[min(number, answers.count) - 1]
    }
}

/// A connection that takes and records feedback.
private final class FeedbackTable: FeedbackDatabase {
    let taken: Script<Int, [TakeFeedback.Item]>
    let finished: Script<FinishFeedback, Void>

    init(
        _ items: [Result<[TakeFeedback.Item], PostgresError>], finished: [Result<Void, PostgresError>] = []
    ) {
        taken = Script(items, then: [])
        self.finished = Script(finished, then: ())
    }

    var source: ConnectionSource<any FeedbackDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func takeFeedback(limit: Int, lease: Instant.Duration) async throws(PostgresError) -> [TakeFeedback.Item] {
        try taken.answer(limit)
    }

    func finish(_ feedback: FinishFeedback) async throws(PostgresError) { try finished.answer(feedback) }
}

@Suite struct FeedbackLoopTests {
    private static func item(_ number: Int, sid: String? = nil, age: Int64 = 1) -> TakeFeedback.Item {
        .init(verification: Int64(number), sid: sid ?? "\(MessageSID.made(number))", age: .seconds(age))
    }

    private static func parts(on loop: EventLoop, isOn: Bool = true) -> Parts {
        let parts = Parts(on: loop).ready()
        var catalog = rows()
        catalog.givesFeedback = isOn
        parts.catalog.read(catalog)
        return parts
    }

    @Test("without the setting nothing is asked, of the database or of Twilio")
    func off() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop, isOn: false)
            let (table, twilio) = (FeedbackTable([.success([Self.item(1)])]), FeedbackStandIn(.confirmed))
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, twilio)
            #expect(await feedback.round() == FeedbackLoop.off)
            #expect(table.taken.calls.isEmpty && twilio.asked.isEmpty)
        }
    }

    @Test("due codes are confirmed, a few at a time, and recorded together")
    func confirms() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let items = (1...5).map { Self.item($0) }
            let (table, twilio) = (FeedbackTable([.success(items)]), FeedbackStandIn(.confirmed))
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, twilio)
            #expect(await feedback.round() == FeedbackMachine.busy)
            #expect(table.taken.calls == [FeedbackMachine.perRound])
            #expect(twilio.asked == items.compactMap(\.sid) && twilio.most == FeedbackMachine.atATime)
            let written = try #require(table.finished.calls.first)
            #expect(written.ended.map(\.verification).sorted() == [1, 2, 3, 4, 5] && written.again.isEmpty)
            #expect(written.ended.allSatisfy { $0.outcome == .confirmed })
            _ = await feedback.round()
            #expect(table.finished.calls.count == 1, "an empty round writes nothing")
        }
    }

    @Test("an answer that takes nothing ends the requests of the round, and the next rounds wait")
    func throttled() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let items = (1...6).map { Self.item($0) }
            let table = FeedbackTable([.success(items), .success([Self.item(9)])])
            let twilio = FeedbackStandIn(.throttled(retryAfter: 600))
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, twilio)
            _ = await feedback.round()
            #expect(twilio.asked.count == FeedbackMachine.atATime)
            let written = try #require(table.finished.calls.first)
            #expect(written.again.map(\.isCounted).filter { $0 }.count == FeedbackMachine.atATime)
            #expect(written.again.count == 6 && written.ended.isEmpty)
            #expect(await feedback.round() == FeedbackMachine.busy)
            #expect(table.taken.calls.count == 1)
        }
    }

    /// Brings a worker into one of the states in which nothing is asked.
    private static let states: [(String, @Sendable (Parts) -> Void)] = [
        ("paused by an answer", { _ = $0.core.machine.paused(.init(words: "No.", remedy: "Wait."), at: .now()) }),
        ("paused by hand", { $0.core.machine.halt() }),
        ("draining", { $0.core.machine.drain() }),
        (
            "at the account's limit",
            {
                let now = Instant.now()
                _ = $0.core.machine.throttled(
                    handedOverAt: now, concurrency: 2, retryAfter: nil, seen: nil, at: now)
            }
        ),
    ]

    @Test("nothing is asked while this worker is paused, drains, or is at its limit", arguments: 0..<4)
    func notWhilePaused(_ index: Int) async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let table = FeedbackTable([.success([Self.item(1)])])
            Self.states[index].1(parts)
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, FeedbackStandIn(.confirmed))
            #expect(await feedback.round() == FeedbackMachine.busy, "\(Self.states[index].0)")
            #expect(table.taken.calls.isEmpty, "\(Self.states[index].0)")
        }
    }

    @Test("a pause that begins during a round ends its requests")
    func pausedMeanwhile() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let core = UncheckedCore(parts.core)
            let table = FeedbackTable([.success((1...6).map { Self.item($0) })])
            let twilio = FeedbackStandIn(.confirmed) { if $0 == 2 { core.value.machine.halt() } }
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, twilio)
            _ = await feedback.round()
            #expect(twilio.asked.count == 2)
            let written = try #require(table.finished.calls.first)
            #expect(written.ended.count == 2 && written.again.count == 4)
            #expect(written.again.allSatisfy { !$0.isCounted })
        }
    }

    @Test("a refusal is logged once, with its remedy, until Twilio takes feedback again")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let table = FeedbackTable([.success([Self.item(1), Self.item(2)])])
            var feedback = FeedbackLoop(
                parts.core, parts.catalog, table.source, FeedbackStandIn(.refused(code: 70051)))
            _ = await feedback.round()
            #expect(
                parts.log.messages == ["Twilio refuses feedback about messages; trying again, and sends go on"])
            #expect(parts.core.machine.pause.reason == nil, "sends go on")
        }
    }

    @Test("codes of yesterday are given up, and texts that are no SID end")
    func ends() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let twilio = FeedbackStandIn(.confirmed)
            let table = FeedbackTable([.success([Self.item(1, age: 90_000), Self.item(2, sid: "no SID")])])
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, twilio)
            _ = await feedback.round()
            let written = try #require(table.finished.calls.first)
            #expect(written.ended.map(\.outcome) == [.givenUp, .unavailable] && twilio.asked.isEmpty)
            #expect(
                parts.log.messages == [
                    "gave up telling Twilio of used codes: it gave no clear answer for a day",
                    "Twilio takes no feedback for messages whose codes were used",
                ])
        }
    }

    @Test("a refusal of the database is logged once, and nothing is lost")
    func databaseRefuses() async throws {
        try await onLoop { loop in
            let parts = Self.parts(on: loop)
            let table = FeedbackTable([.failure(.refused("42501")), .failure(.refused("42501"))])
            var feedback = FeedbackLoop(parts.core, parts.catalog, table.source, FeedbackStandIn(.confirmed))
            for _ in 0..<2 { #expect(await feedback.round() == FeedbackMachine.idle) }
            #expect(parts.log.messages == ["cannot take or record feedback for Twilio; trying again"])
        }
    }
}

/// The core of parts, used on its loop alone.
private final class UncheckedCore: @unchecked Sendable {
    let value: DispatchCore
    init(_ value: DispatchCore) { self.value = value }
}
