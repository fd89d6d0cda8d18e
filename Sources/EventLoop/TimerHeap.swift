/// Identifies one scheduled timer. Canceling a timer that has fired does nothing.
public struct TimerID: Sendable, Hashable {
    let serial: UInt64
}

/// A binary heap of timers by due time, with ties in the order in which they were set. Pure: the caller gives the time.
///
/// A canceled timer is removed at once. So neither memory nor wake-ups grow with canceled timers; every request sets a
/// deadline that almost never fires.
struct TimerHeap<Payload> {
    private struct Entry {
        var due: Instant
        var serial: UInt64
        var payload: Payload

        func isBefore(_ other: Entry) -> Bool {
            due == other.due ? serial < other.serial : due < other.due
        }
    }

    private var entries: [Entry] = []
    private var positions: [UInt64: Int] = [:]
    private var nextSerial: UInt64 = 0

    var count: Int { entries.count }
    /// When the earliest timer is due; nil if there is none.
    var nextDue: Instant? { entries.first?.due }

    /// Adds a timer; O(log n).
    mutating func insert(due: Instant, _ payload: Payload) -> TimerID {
        let serial = nextSerial
        nextSerial += 1
        entries.append(Entry(due: due, serial: serial, payload: payload))
        positions[serial] = entries.count - 1
        siftUp(entries.count - 1)
        return TimerID(serial: serial)
    }

    /// Removes a timer before it fires. Returns nil if it has fired or was canceled. O(log n).
    @discardableResult
    mutating func remove(_ id: TimerID) -> Payload? {
        guard let index = positions[id.serial] else { return nil }
        return removeEntry(at: index).payload
    }

    /// Removes and returns the earliest timer if it is due at `now`.
    mutating func popDue(at now: Instant) -> Payload? {
        guard let first = entries.first, first.due <= now else { return nil }
        return removeEntry(at: 0).payload
    }

    private mutating func removeEntry(at index: Int) -> Entry {
        let last = entries.count - 1
        if index != last { swapEntries(index, last) }
        let removed = entries.removeLast()
        positions[removed.serial] = nil
        if index < entries.count {
            siftDown(index)
            siftUp(index)
        }
        return removed
    }

    private mutating func swapEntries(_ a: Int, _ b: Int) {
        entries.swapAt(a, b)
        positions[entries[a].serial] = a
        positions[entries[b].serial] = b
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index].isBefore(entries[parent]) else { return }
            swapEntries(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in (2 * index + 1)..<(2 * index + 3) where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            if least == index { return }
            swapEntries(index, least)
            index = least
        }
    }
}
