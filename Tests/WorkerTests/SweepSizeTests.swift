import EventLoop
import Testing

@testable import Worker

@Suite("A sweep that the database refuses")
struct SweepSizeTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test("is halved until it takes one job of a kind; that one is left out for a minute")
    func halves() {
        var size = SweepSize()
        var limits: [Int] = []
        while true {
            limits.append(size.limit)
            if size.refused() { break }
        }
        #expect(limits == [500, 250, 125, 62, 31, 15, 7, 3, 1])
        size.leaveOut([7], at: start)
        let now = size.excluded(at: start + .seconds(59))
        #expect(now == [7])
        let later = size.excluded(at: start + .seconds(60))
        #expect(later == [])
    }

    @Test("grows again")
    func grows() {
        var size = SweepSize()
        for _ in 0..<9 { _ = size.refused() }
        for _ in 0..<3 { size.swept() }
        #expect(size.limit == 8)
        for _ in 0..<9 { size.swept() }
        #expect(size.limit == 500)
    }

    @Test("leaves out a thousand jobs at most")
    func isBounded() {
        var size = SweepSize()
        for job in 0..<2000 as Range<Int64> { size.leaveOut([job], at: start) }
        #expect(size.excluded(at: start).count == 1000)
    }
}
