import EventLoop
import Testing

@testable import otpd

@Suite struct StopRuleTests {
    /// By milliseconds after the first.
    @Test(
        arguments: [
            ([0], [.drain]), ([0, 0], [.drain, .ignore]), ([0, 0, 0], [.drain, .ignore, .ignore]),
            ([0, 999], [.drain, .ignore]), ([0, 1000], [.drain, .leave]),
            ([0, 500, 999, 1000], [.drain, .ignore, .ignore, .leave]),
            ([0, 86_400_000], [.drain, .leave]),
        ] as [([Int64], [StopRule.Action])])
    func signals(at times: [Int64], steps: [StopRule.Action]) {
        var rule = StopRule()
        #expect(!rule.isStopping)
        #expect(times.map { rule.received(at: Instant(nanoseconds: 5) + .milliseconds($0)) } == steps)
        #expect(rule.isStopping)
    }

    @Test func whatComesWhileTheDrainIsSetOffIsTheSameStop() {
        var rule = StopRule()
        let start = Instant(nanoseconds: 5)
        #expect(rule.received(at: start) == .drain)
        rule.drainBegan(at: start + .seconds(3))
        #expect(rule.received(at: start + .seconds(3)) == .ignore)
        #expect(rule.received(at: start + .seconds(4)) == .leave)
    }
}
