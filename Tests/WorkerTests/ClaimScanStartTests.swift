import EventLoop
import Queue
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)

@Suite("Where a claim begins")
struct ClaimScanStartTests {
    /// `count` claims in a row, of this length each and as long apart, with scans of the machine's choice; the last scan.
    @discardableResult
    private func claims(
        _ mark: inout ClaimScanStart, _ count: Int, took: Instant.Duration, every: Instant.Duration,
        lowest: Int64? = nil,
        at now: inout Instant
    ) -> Claim.Scan {
        var scan = Claim.Scan.oldestFirst
        for _ in 0..<count {
            now = now + every
            scan = mark.scan(at: now)
            mark.claimed(scan, foundJobs: true, lowest: scan == .oldestFirst ? nil : lowest, took: took, at: now)
        }
        return scan
    }

    /// A machine that has met dead entries: claims of 100 ms, one after the other.
    private func marked(_ lowest: Int64, at now: inout Instant) -> ClaimScanStart {
        var mark = ClaimScanStart()
        claims(&mark, 10, took: .milliseconds(100), every: .milliseconds(100), lowest: lowest, at: &now)
        return mark
    }

    @Test(
        "a healthy queue is scanned in full, and no claim reports its lowest due time",
        arguments: [(240, 1), (1000, 0.5), (5, 20), (1, 20)])
    func well(perSecond: Int, milliseconds: Double) {
        var mark = ClaimScanStart()
        var now = start
        let every = Instant.Duration(seconds: 1 / Double(perSecond))
        for _ in 0..<5 * perSecond {
            let scan = claims(&mark, 1, took: Instant.Duration(seconds: milliseconds / 1000), every: every, at: &now)
            #expect(scan == .oldestFirst)
        }
        #expect(mark.start(at: now) == nil)
    }

    @Test("what the disk takes is no sign of dead entries: claims that find jobs are compared with each other")
    func disk() {
        var mark = ClaimScanStart()
        var now = start
        for step in 0..<5000 {
            now = now + .milliseconds(1)
            let isFilled = step % 3 == 0
            let took = Instant.Duration(seconds: (isFilled ? 0.00045 : 0.0001) + Double(step % 7) * 0.00001)
            let scan = mark.scan(at: now)
            #expect(scan == .oldestFirst)
            mark.claimed(scan, foundJobs: isFilled, lowest: nil, took: took, at: now)
        }
    }

    @Test("dead entries that gather while the worker runs are noticed once they take a quarter of the time")
    func gathering() {
        var mark = ClaimScanStart()
        var now = start
        var step = 0
        while !mark.isMarking, step < 5000 {
            now = now + .milliseconds(2)
            step += 1
            // Each claim leaves a dead entry, and each later one steps over it in a microsecond.
            let took = Instant.Duration(seconds: 0.0003 + Double(step) * 0.000_001)
            mark.claimed(mark.scan(at: now), foundJobs: true, lowest: nil, took: took, at: now)
        }
        #expect((450...650).contains(step), "\(step)")
    }

    @Test(
        "claims of everything that take much of the session's time are replaced by claims from a mark",
        arguments: [(240, 2), (1000, 1), (20, 20)])
    func busy(perSecond: Int, milliseconds: Double) {
        var mark = ClaimScanStart()
        var now = start
        let every = Instant.Duration(seconds: 1 / Double(perSecond))
        let took = Instant.Duration(seconds: milliseconds / 1000)
        claims(&mark, 3 * perSecond, took: took, every: every, lowest: 1000, at: &now)
        var (all, marked) = (0, 0)
        for _ in 0..<3 * perSecond {
            let scan = mark.scan(at: now)
            if scan == .fromMark(from: 1000) { marked += 1 } else { all += 1 }
            // From the mark it is quick.
            let length = scan == .fromMark(from: nil) ? took : .milliseconds(0)
            mark.claimed(scan, foundJobs: true, lowest: 1000, took: length, at: now)
            now = now + every
        }
        #expect(all > 0, "something may have come to light below the mark")
        // A two-hundredth of the time.
        #expect(Double(all) * milliseconds / 1000 < 3 * 0.006 + 0.02, "\(all) of everything, \(marked) from the mark")
    }

    @Test("claims begin at the mark for two hundred times the length of the last claim of everything")
    func pause() {
        var now = start
        var mark = marked(1000, at: &now)
        let all = now + .seconds(11)
        mark.claimed(.fromMark(from: nil), foundJobs: true, lowest: 1000, took: .milliseconds(10), at: all)
        #expect(mark.start(at: all + .milliseconds(1999)) == 1000)
        #expect(mark.start(at: all + .seconds(2)) == nil)
    }

    @Test("when claims of everything are quick again, the dead are gone; quick ones from the mark say nothing of them")
    func quickly() {
        var now = start
        var mark = marked(1000, at: &now)
        for _ in 0..<20 {
            mark.claimed(.fromMark(from: 1000), foundJobs: true, lowest: 2000, took: .milliseconds(1), at: now)
        }
        #expect(mark.scan(at: now) == .fromMark(from: 2000))
        for _ in 0..<40 {
            now = now + .milliseconds(100)
            mark.claimed(.fromMark(from: nil), foundJobs: true, lowest: 3000, took: .milliseconds(1), at: now)
        }
        #expect(mark.scan(at: now) == .oldestFirst)
    }

    @Test("a full scan comes every 30 s, however slow it is and whatever is found above the mark")
    func longest() {
        var mark = ClaimScanStart()
        var now = start
        var last = start
        for step in 0..<3000 {
            let scan = mark.scan(at: now)
            if scan == .oldestFirst || scan == .fromMark(from: nil) { last = now }
            #expect(now - last <= ClaimScanStart.longest)
            // A claim from the mark that is as slow moves nothing.
            mark.claimed(
                scan, foundJobs: true, lowest: scan == .oldestFirst ? nil : Int64(step), took: .seconds(9), at: now)
            now = now + .milliseconds(7)
        }
        #expect(last > start)
    }

    @Test("a claim raises the mark and never lowers it, but one of everything")
    func monotonic() {
        var now = start
        var mark = marked(1000, at: &now)
        mark.claimed(.fromMark(from: nil), foundJobs: true, lowest: 1000, took: .milliseconds(100), at: now)
        mark.claimed(.fromMark(from: 1000), foundJobs: true, lowest: 3000, took: .milliseconds(1), at: now)
        #expect(mark.start(at: now) == 3000)
        // The slack puts it below where the claim began: nothing is known of what lies there.
        mark.claimed(.fromMark(from: 3000), foundJobs: true, lowest: 2500, took: .milliseconds(1), at: now)
        #expect(mark.start(at: now) == 3000)
        // Nothing was found: nothing is learned.
        mark.claimed(.fromMark(from: 3000), foundJobs: true, lowest: nil, took: .milliseconds(1), at: now)
        #expect(mark.start(at: now) == 3000)
        // Newest first says nothing of the oldest.
        mark.claimed(.newestFirst, foundJobs: true, lowest: nil, took: .milliseconds(1), at: now)
        #expect(mark.start(at: now) == 3000)
        mark.claimed(.fromMark(from: nil), foundJobs: true, lowest: 2000, took: .milliseconds(100), at: now)
        #expect(mark.start(at: now) == 2000)
    }

    @Test("after an error, everything is looked at")
    func forgets() {
        var now = start
        var mark = marked(1000, at: &now)
        mark.forget()
        #expect(mark.scan(at: now) == .oldestFirst)
        #expect(mark.start(at: now) == nil)
    }

    @Test("claims that find nothing, slowly, give no mark")
    func nothing() {
        var mark = ClaimScanStart()
        var now = start
        claims(&mark, 10, took: .milliseconds(100), every: .milliseconds(100), at: &now)
        #expect(mark.scan(at: now) == .fromMark(from: nil))
        #expect(mark.start(at: now) == nil)
    }
}
