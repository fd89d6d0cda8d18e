/// The newest entries, in memory, with sequence numbers that never repeat. It is for channels with fewer entries than
/// SMS has: a search walks through all of them.
struct Shelf<Entry> {
    private let capacity: Int
    private var entries: [Entry] = []
    /// The sequence number of the oldest entry.
    private(set) var first = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    /// The sequence number of the next entry.
    var next: Int { first + entries.count }
    var count: Int { entries.count }

    mutating func add(_ entry: Entry) {
        // Half of them at a time, so that an entry costs the same however many there are.
        if entries.count >= 2 * capacity { drop(entries.count - capacity + 1) }
        entries.append(entry)
    }

    /// The entry with that number. Nil if it never existed or is no longer kept.
    subscript(_ sequence: Int) -> Entry? {
        sequence >= first && sequence < next ? entries[sequence - first] : nil
    }

    mutating func update(_ sequence: Int, _ change: (inout Entry) -> Void) {
        guard sequence >= first, sequence < next else { return }
        change(&entries[sequence - first])
    }

    /// Removes everything. The numbers continue.
    mutating func removeAll() { drop(entries.count) }

    /// Calls `visit` with entries from newest to oldest, until it returns false.
    func walk(_ visit: (Entry) -> Bool) {
        for entry in entries.reversed() where !visit(entry) { return }
    }

    private mutating func drop(_ count: Int) {
        first += count
        entries.removeFirst(count)
    }
}
