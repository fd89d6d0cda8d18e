import EventLoop
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)

@Suite("Where a claim begins")
struct LowWaterMarkTests {
    private func slow(_ mark: inout LowWaterMark, lowest: Int64?, at now: Instant) {
        mark.claimed(from: mark.start(at: now), lowest: lowest, took: .milliseconds(100), at: now)
    }

    @Test("after a claim of everything, claims begin where it says, for twenty times its length")
    func slowly() {
        var mark = LowWaterMark()
        slow(&mark, lowest: 1000, at: start)
        #expect(mark.start(at: start) == 1000)
        #expect(mark.start(at: start + .milliseconds(1999)) == 1000)
        #expect(mark.start(at: start + .seconds(2)) == nil)
    }

    @Test("what lies below the mark is looked for every 5 s, however slow that is and whatever is found above it")
    func longest() {
        var mark = LowWaterMark()
        var now = start
        var last = start
        for step in 0..<3000 {
            let from = mark.start(at: now)
            if from == nil { last = now }
            #expect(now - last <= LowWaterMark.longest)
            // A claim from the mark that is as slow moves nothing.
            mark.claimed(from: from, lowest: Int64(step), took: .seconds(9), at: now)
            now = now + .milliseconds(7)
        }
        #expect(last > start)
    }

    @Test("a claim raises the mark and never lowers it, but one of everything")
    func monotonic() {
        var mark = LowWaterMark()
        slow(&mark, lowest: 1000, at: start)
        mark.claimed(from: 1000, lowest: 3000, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        // The slack puts it below where the claim began: nothing is known of what lies there.
        mark.claimed(from: 3000, lowest: 2500, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        // Nothing was found: nothing is learned.
        mark.claimed(from: 3000, lowest: nil, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        mark.claimed(from: nil, lowest: 2000, took: .milliseconds(100), at: start)
        #expect(mark.start(at: start) == 2000)
    }

    @Test("after an error, everything is looked at")
    func forgets() {
        var mark = LowWaterMark()
        slow(&mark, lowest: 1000, at: start)
        mark.forget()
        #expect(mark.start(at: start) == nil)
    }

    @Test("a first claim that finds nothing, slowly, gives no mark")
    func nothing() {
        var mark = LowWaterMark()
        slow(&mark, lowest: nil, at: start)
        #expect(mark.start(at: start) == nil)
    }
}
