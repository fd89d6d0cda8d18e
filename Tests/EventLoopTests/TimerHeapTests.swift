import TestSupport
import Testing

@testable import EventLoop

@Suite("Instants")
struct InstantTests {
    @Test("spans saturate instead of trapping, whatever a database or a setting says")
    func saturation() {
        #expect(Instant.Duration(seconds: 1e30).nanoseconds == .max)
        #expect(Instant.Duration(seconds: -1e30).nanoseconds == .min)
        #expect(Instant.Duration(seconds: .infinity).nanoseconds == .max)
        #expect(Instant.Duration(seconds: .nan).nanoseconds == 0)
        #expect(Instant.Duration(seconds: 1.5).nanoseconds == 1_500_000_000)
        #expect(Instant.Duration(.seconds(Int64.max)).nanoseconds == .max)
        #expect((Instant(nanoseconds: 5) + Instant.Duration(nanoseconds: .max)).nanoseconds == .max)
        #expect((Instant(nanoseconds: 5) - Instant.Duration(nanoseconds: .max)).nanoseconds == 5 - .max)
    }
}

@Suite("Timer heap")
struct TimerHeapTests {
    private func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }

    @Test("fires in the order of due times, ties in the order set")
    func order() {
        var heap = TimerHeap<Int>()
        for (index, due) in [50, 10, 30, 10, 20, 50].enumerated() { _ = heap.insert(due: at(Int64(due)), index) }
        var fired: [Int] = []
        while let next = heap.popDue(at: at(100)) { fired.append(next) }
        #expect(fired == [1, 3, 4, 2, 0, 5])
    }

    @Test("nothing fires before it is due")
    func notEarly() {
        var heap = TimerHeap<Int>()
        _ = heap.insert(due: at(10), 1)
        let early = heap.popDue(at: at(9))
        #expect(early == nil)
        #expect(heap.nextDue == at(10))
        let fired = heap.popDue(at: at(10))
        #expect(fired == 1)
        #expect(heap.nextDue == nil)
    }

    @Test("a canceled timer leaves at once, and canceling twice or late does nothing")
    func cancel() {
        var heap = TimerHeap<Int>()
        let first = heap.insert(due: at(1), 1)
        let second = heap.insert(due: at(2), 2)
        let removed = [heap.remove(first), heap.remove(first)]
        #expect(removed == [1, nil])
        #expect(heap.count == 1)
        let fired = heap.popDue(at: at(5))
        #expect(fired == 2)
        let late = heap.remove(second)
        #expect(late == nil)
    }

    @Test("agrees with a sorted list over random inserts, removals and pops", arguments: 0..<40)
    func model(seed: Int) {
        var random = SeededGenerator(seed)
        var heap = TimerHeap<Int>()
        var model: [(due: Int64, order: Int, id: TimerID)] = []
        for step in 0..<400 {
            switch random.next() % 4 {
            case 0, 1:
                let due = Int64(random.next() % 50)
                model.append((due, step, heap.insert(due: at(due), step)))
            case 2 where !model.isEmpty:
                let victim = model.remove(at: Int(random.next() % UInt64(model.count)))
                let removed = heap.remove(victim.id)
                #expect(removed == victim.order)
            default:
                let now = Int64(random.next() % 50)
                let expected = model.filter { $0.due <= now }.min { ($0.due, $0.order) < ($1.due, $1.order) }
                model.removeAll { $0.order == expected?.order }
                let fired = heap.popDue(at: at(now))
                #expect(fired == expected?.order)
            }
            #expect(heap.count == model.count)
        }
    }
}
