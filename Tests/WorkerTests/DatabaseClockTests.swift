import EventLoop
import Testing

@testable import Worker

/// Jumps of the database's clock, beside the time that has passed.
@Suite struct DatabaseClockTests {
    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    /// Reads the clock `0` at 10.0 to 10.1 s, and then `clock` (in seconds) from `asked` to `answered`.
    private func jump(_ clock: Double, asked: Double, answered: Double) -> Double? {
        var database = DatabaseClock()
        #expect(database.read(0, asked: at(10), answered: at(10.1)) == nil)
        return database.read(Int64(clock * 1e6), asked: at(asked), answered: at(answered))?.seconds
    }

    @Test func aClockThatKeepsTimeDoesNotJump() {
        #expect(jump(5, asked: 15, answered: 15.1) == nil)
        #expect(jump(6.9, asked: 15, answered: 15.1) == nil)
        #expect(jump(3, asked: 15, answered: 15.1) == nil)
    }

    @Test func aSlowAnswerIsNoJump() {
        // The clock was read at some time within the 40 s.
        for clock in [5, 20, 45.0] { #expect(jump(clock, asked: 15, answered: 55) == nil) }
    }

    @Test(arguments: [3600, -3600.0])
    func aJumpIsSeenWithItsLength(_ jump: Double) throws {
        let seen = try #require(self.jump(5 + jump, asked: 15, answered: 15.1))
        #expect(abs(seen - jump) < 1)
    }

    @Test func aJumpIsSeenOnce() {
        var database = DatabaseClock()
        let hour: Int64 = 3_600_000_000
        #expect(database.read(0, asked: at(10), answered: at(10)) == nil)
        #expect(database.read(hour, asked: at(15), answered: at(15)) != nil)
        #expect(database.read(hour + 5_000_000, asked: at(20), answered: at(20)) == nil)
    }
}
