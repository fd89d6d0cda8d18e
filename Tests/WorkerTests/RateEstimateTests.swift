import EventLoop
import Testing

@testable import Worker

@Suite("Rate estimate")
struct RateEstimateTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test("a steady rate is found within a second or two", arguments: [10.0, 100, 1000, 9000])
    func steady(rate: Double) {
        var estimate = RateEstimate()
        var now = start
        for _ in 0..<Int(rate * 3) {
            now = now + Instant.Duration(seconds: 1 / rate)
            estimate.count(at: now)
        }
        let said = estimate.perSecond(at: now)
        #expect(said > rate * 0.85 && said < rate * 1.15)
    }

    @Test("after a silence of two seconds nothing is left of it")
    func silence() {
        var estimate = RateEstimate()
        for index in 0..<1000 { estimate.count(at: start + .milliseconds(Int64(index))) }
        let said = [1, 5].map { estimate.perSecond(at: start + .seconds($0)) }
        #expect(said[0] > 0)
        #expect(said[1] == 0)
    }

    @Test("a burst counts from its first moment on, and for no more than it is")
    func burst() {
        var estimate = RateEstimate()
        var said: [Double] = []
        for index in 0..<100 {
            estimate.count(at: start + Instant.Duration(nanoseconds: Int64(index) * 100_000))
            if index % 50 == 49 { said.append(estimate.perSecond(at: start + .milliseconds(Int64(index / 10)))) }
        }
        #expect(said == [500, 1000])
    }

    @Test("with nothing counted it is zero")
    func empty() {
        var estimate = RateEstimate()
        let said = estimate.perSecond(at: start)
        #expect(said == 0)
    }
}
