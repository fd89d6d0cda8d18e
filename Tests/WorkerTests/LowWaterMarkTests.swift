import EventLoop
import Queue
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)

@Suite("Where a claim begins")
struct LowWaterMarkTests {
    /// A claim that took 100 ms, with a scan of the machine's choice.
    private func slow(_ mark: inout LowWaterMark, lowest: Int64?, at now: Instant) {
        mark.claimed(mark.scan(at: now), count: 1, lowest: lowest, took: .milliseconds(100), at: now)
    }

    private func marked(_ lowest: Int64) -> LowWaterMark {
        var mark = LowWaterMark()
        slow(&mark, lowest: nil, at: start)
        slow(&mark, lowest: lowest, at: start)
        return mark
    }

    @Test("a queue that is well is looked at as a whole, and nobody asks what was lowest in it")
    func well() {
        var mark = LowWaterMark()
        for (count, milliseconds) in [(1, 4), (0, 1), (80, 4), (512, 25)] {
            #expect(mark.scan(at: start) == .oldestFirst)
            mark.claimed(.oldestFirst, count: count, lowest: nil, took: .milliseconds(Int64(milliseconds)), at: start)
        }
        #expect(mark.scan(at: start) == .oldestFirst)
        #expect(mark.start(at: start) == nil)
    }

    @Test("after a slow claim the next one says where the queue begins; for twenty times its length others begin there")
    func slowly() {
        var mark = LowWaterMark()
        slow(&mark, lowest: nil, at: start)
        #expect(mark.scan(at: start) == .pastDead(from: nil))
        #expect(mark.start(at: start) == nil)
        slow(&mark, lowest: 1000, at: start)
        #expect(mark.scan(at: start) == .pastDead(from: 1000))
        #expect(mark.scan(at: start + .milliseconds(1999)) == .pastDead(from: 1000))
        #expect(mark.start(at: start + .milliseconds(1999)) == 1000)
        #expect(mark.scan(at: start + .seconds(2)) == .pastDead(from: nil))
        #expect(mark.start(at: start + .seconds(2)) == nil)
    }

    @Test(
        "when a claim of everything is quick again, the dead are gone; a quick one from the mark says nothing of them")
    func quickly() {
        var mark = marked(1000)
        mark.claimed(.pastDead(from: 1000), count: 1, lowest: 2000, took: .milliseconds(1), at: start)
        #expect(mark.scan(at: start) == .pastDead(from: 2000))
        let later = start + .seconds(2)
        mark.claimed(mark.scan(at: later), count: 1, lowest: 3000, took: .milliseconds(1), at: later)
        #expect(mark.scan(at: later) == .oldestFirst)
    }

    @Test("a large claim is slow only if it is slow for its jobs")
    func large() {
        var mark = LowWaterMark()
        mark.claimed(.oldestFirst, count: 512, lowest: nil, took: .milliseconds(26), at: start)
        #expect(mark.scan(at: start) == .pastDead(from: nil))
    }

    @Test("what lies below the mark is looked for every 5 s, however slow that is and whatever is found above it")
    func longest() {
        var mark = LowWaterMark()
        var now = start
        var last = start
        for step in 0..<3000 {
            let scan = mark.scan(at: now)
            if scan == .oldestFirst || scan == .pastDead(from: nil) { last = now }
            #expect(now - last <= LowWaterMark.longest)
            // A claim from the mark that is as slow moves nothing.
            mark.claimed(scan, count: 1, lowest: scan == .oldestFirst ? nil : Int64(step), took: .seconds(9), at: now)
            now = now + .milliseconds(7)
        }
        #expect(last > start)
    }

    @Test("a claim raises the mark and never lowers it, but one of everything")
    func monotonic() {
        var mark = marked(1000)
        mark.claimed(.pastDead(from: 1000), count: 1, lowest: 3000, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        // The slack puts it below where the claim began: nothing is known of what lies there.
        mark.claimed(.pastDead(from: 3000), count: 1, lowest: 2500, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        // Nothing was found: nothing is learned.
        mark.claimed(.pastDead(from: 3000), count: 0, lowest: nil, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        // Newest first says nothing of the oldest.
        mark.claimed(.newestFirst, count: 1, lowest: nil, took: .milliseconds(1), at: start)
        #expect(mark.start(at: start) == 3000)
        mark.claimed(.pastDead(from: nil), count: 1, lowest: 2000, took: .milliseconds(100), at: start)
        #expect(mark.start(at: start) == 2000)
    }

    @Test("after an error, everything is looked at")
    func forgets() {
        var mark = marked(1000)
        mark.forget()
        #expect(mark.scan(at: start) == .oldestFirst)
        #expect(mark.start(at: start) == nil)
    }

    @Test("a first claim that finds nothing, slowly, gives no mark")
    func nothing() {
        var mark = LowWaterMark()
        slow(&mark, lowest: nil, at: start)
        slow(&mark, lowest: nil, at: start)
        #expect(mark.scan(at: start) == .pastDead(from: nil))
        #expect(mark.start(at: start) == nil)
    }
}
