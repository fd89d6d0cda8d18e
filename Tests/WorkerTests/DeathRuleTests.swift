import EventLoop
import Testing

@testable import Worker

@Suite struct DeathRuleTests {
    private final class Connection: Sendable {}

    /// A database that was away for longer than a heartbeat counts has everybody look dead.
    @Test func nobodyIsCalledDeadRightAfterTheDatabaseWasAway() {
        var rule = DeathRule()
        let (first, second) = (Connection(), Connection())
        let start = Instant.now()
        let answers = [(first, 0), (first, 20), (second, 60), (second, 89), (second, 90)].map { connection, seconds in
            rule.mayBeTold(over: connection, at: start + .seconds(Int64(seconds)))
        }
        #expect(answers == [true, true, false, false, true])
    }
}
