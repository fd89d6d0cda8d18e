import EventLoop
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)

@Suite("Where a sweep begins")
struct SweepScanStartTests {
    @Test("sweeps of a millisecond are all of everything")
    func quick() {
        var mark = SweepScanStart()
        for second in stride(from: 0, to: 60, by: 2) {
            let now = start + .seconds(Int64(second))
            #expect(mark.start(at: now) == nil)
            mark.swept(from: nil, lookedAt: 1_000_000, isFull: false, took: .milliseconds(1), at: now)
        }
    }

    @Test("after a slow one the next begin half a minute before the last, for two hundred times its length")
    func slow() {
        var mark = SweepScanStart()
        mark.swept(from: nil, lookedAt: 100_000_000, isFull: false, took: .milliseconds(40), at: start)
        #expect(mark.start(at: start + .seconds(2)) == 70_000_000)
        let now = start + .seconds(2)
        mark.swept(from: 70_000_000, lookedAt: 102_000_000, isFull: false, took: .milliseconds(3), at: now)
        #expect(mark.start(at: start + .milliseconds(7999)) == 72_000_000)
        #expect(mark.start(at: start + .seconds(8)) == nil)
    }

    @Test("one of everything comes once a minute, however slow that is")
    func longest() {
        var mark = SweepScanStart()
        mark.swept(from: nil, lookedAt: 100_000_000, isFull: false, took: .seconds(1_000_000_000), at: start)
        #expect(mark.start(at: start + .milliseconds(59_999)) != nil)
        #expect(mark.start(at: start + .seconds(60)) == nil)
    }

    @Test("where there may be more, or nothing is known, everything is looked at")
    func full() {
        var mark = SweepScanStart()
        mark.swept(from: nil, lookedAt: 100_000_000, isFull: false, took: .milliseconds(100), at: start)
        mark.swept(from: 70_000_000, lookedAt: 102_000_000, isFull: true, took: .milliseconds(3), at: start)
        #expect(mark.start(at: start) == nil)
        mark.swept(from: nil, lookedAt: 103_000_000, isFull: true, took: .milliseconds(100), at: start)
        #expect(mark.start(at: start) == nil)
        mark.swept(from: nil, lookedAt: 104_000_000, isFull: false, took: .milliseconds(100), at: start)
        #expect(mark.start(at: start) == 74_000_000)
        mark.forget()
        #expect(mark.start(at: start) == nil)
    }
}
