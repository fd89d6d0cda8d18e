import EventLoop
import Queue
import Testing
import Twilio

@testable import Worker

/// Decisions about feedback to Twilio.
@Suite struct FeedbackMachineTests {
    private typealias Step = FeedbackMachine.Step
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    private func item(_ sid: String? = "SM1", isPending: Bool = false, tries: Int = 0, age: Int64 = 1)
        -> TakeFeedback.Item
    {
        .init(verification: 1, sid: sid, isPending: isPending, tries: tries, age: .seconds(age))
    }

    @Test func whatToDoAboutACode() {
        let machine = FeedbackMachine()
        #expect(machine.step(for: item(), at: start) == .confirm(sid: "SM1"))
        #expect(machine.step(for: item(nil), at: start) == .end(.noMessage))
        let pending = item(nil, isPending: true)
        #expect(machine.step(for: pending, at: start) == .again(after: .seconds(30), isCounted: true))
        #expect(machine.step(for: item(age: 86_399), at: start) == .confirm(sid: "SM1"))
        #expect(machine.step(for: item(age: 86_400), at: start) == .end(.givenUp))
        #expect(machine.step(for: item(nil, isPending: true, age: 86_400), at: start) == .end(.givenUp))
    }

    @Test(arguments: [(FeedbackAnswer.confirmed, FinishFeedback.Outcome.confirmed), (.unavailable, .unavailable)])
    func answersThatEndIt(answer: FeedbackAnswer, outcome: FinishFeedback.Outcome) {
        var machine = FeedbackMachine()
        #expect(machine.answered(answer, for: item(), at: start) == .end(outcome))
        #expect(!machine.isHeld(at: start))
    }

    @Test(arguments: [FeedbackAnswer.throttled(retryAfter: nil), .refused(code: 20003), .unclear])
    func answersThatTakeNothing(answer: FeedbackAnswer) {
        var machine = FeedbackMachine()
        #expect(machine.answered(answer, for: item(), at: start) == .again(after: .seconds(30), isCounted: true))
        // Nothing else is asked meanwhile, and no code pays for that with a try.
        #expect(machine.isHeld(at: start + .seconds(4)) && !machine.isHeld(at: start + .seconds(5)))
        #expect(machine.step(for: item(), at: start + .seconds(1)) == .again(after: .seconds(4), isCounted: false))
        #expect(machine.step(for: item(), at: start + .seconds(5)) == .confirm(sid: "SM1"))
        // Codes that need no request end all the same.
        #expect(machine.step(for: item(nil), at: start) == .end(.noMessage))
    }

    @Test func holdsGrowUntilAnAnswer() {
        var machine = FeedbackMachine()
        var now = start
        var holds: [Double] = []
        for _ in 0..<8 {
            _ = machine.answered(.unclear, for: item(), at: now)
            let began = now
            while machine.isHeld(at: now) { now = now + .seconds(1) }
            holds.append((now - began).seconds)
        }
        #expect(holds == [5, 10, 20, 40, 80, 160, 300, 300])
        _ = machine.answered(.confirmed, for: item(), at: now)
        _ = machine.answered(.unclear, for: item(), at: now)
        #expect(machine.isHeld(at: now + .seconds(4)) && !machine.isHeld(at: now + .seconds(5)))
    }

    @Test func requestsOfOneMomentAreOneTrouble() {
        var machine = FeedbackMachine()
        for _ in 0..<FeedbackMachine.atATime { _ = machine.answered(.unclear, for: item(), at: start) }
        #expect(!machine.isHeld(at: start + .seconds(5)))
    }

    @Test(arguments: [(0, 5), (60, 60), (1_000_000_000, 3_600), (-5, 5), (Int.max, 3_600)])
    func retryAfter(asked: Int, seconds: Int) {
        var machine = FeedbackMachine()
        _ = machine.answered(.throttled(retryAfter: asked), for: item(), at: start)
        #expect(machine.isHeld(at: start + .seconds(Int64(seconds - 1))))
        #expect(!machine.isHeld(at: start + .seconds(Int64(seconds))))
    }

    @Test func triesAreBounded() {
        var machine = FeedbackMachine()
        var waits: [Double] = []
        for tries in 0..<FeedbackMachine.mostTries {
            guard case .again(let span, true) = machine.answered(.unclear, for: item(tries: tries), at: start) else {
                #expect(tries == FeedbackMachine.mostTries - 1)
                break
            }
            waits.append(span.seconds)
        }
        #expect(waits.count == FeedbackMachine.mostTries - 1)
        #expect(Array(waits.prefix(9)) == [30, 60, 120, 240, 480, 960, 1920, 3840, 7200] && waits.max() == 7200)
        #expect(machine.step(for: item(nil, isPending: true, tries: 19), at: start) == .end(.givenUp))
    }

    @Test func roundsBecomeRarerWithoutCodes() {
        var machine = FeedbackMachine()
        #expect((0..<5).map { _ in machine.wait(after: 0).seconds } == [1, 2, 4, 5, 5])
        #expect(machine.wait(after: 3) == .seconds(1))
        #expect(machine.wait(after: 0) == .seconds(1))
    }
}
