import EventLoop
import Testing

struct ExponentialBackoffTests {
    private let backoff = ExponentialBackoff(first: .milliseconds(500), longest: .seconds(30))

    @Test(arguments: [(0, 500), (1, 500), (2, 1000), (3, 2000), (6, 16_000), (7, 30_000), (1000, 30_000)])
    func doublesUpToTheLongest(failures: Int, milliseconds: Int64) {
        #expect(backoff.delay(after: failures) == .milliseconds(milliseconds))
    }

    @Test func jitterTakesAPart() {
        #expect(backoff.delay(after: 2, random: 0) == .seconds(0))
        #expect(backoff.delay(after: 2, random: 0.25) == .milliseconds(250))
    }

    @Test func neverOverflows() {
        let huge = ExponentialBackoff(first: .seconds(9_000_000), longest: .seconds(9_200_000_000))
        #expect(huge.delay(after: 64) == huge.longest)
    }
}
