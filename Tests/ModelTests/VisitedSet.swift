/// States in the order in which they were found, and by their keys. Open addressing, at most two thirds full.
struct VisitedSet {
    private(set) var keys: [Key] = []
    private var table = [UInt32](repeating: .max, count: 1 << 16)

    var count: Int { keys.count }

    /// The state's place, and whether it is new.
    mutating func insert(_ key: Key) -> (place: Int, isNew: Bool) {
        if keys.count * 3 > table.count * 2 { grow() }
        var slot = Int(truncatingIfNeeded: key.hash) & (table.count - 1)
        while table[slot] != .max {
            let place = Int(table[slot])
            if keys[place] == key { return (place, false) }
            slot = (slot + 1) & (table.count - 1)
        }
        table[slot] = UInt32(keys.count)
        keys.append(key)
        return (keys.count - 1, true)
    }

    private mutating func grow() {
        table = [UInt32](repeating: .max, count: table.count * 2)
        for (place, key) in keys.enumerated() {
            var slot = Int(truncatingIfNeeded: key.hash) & (table.count - 1)
            while table[slot] != .max { slot = (slot + 1) & (table.count - 1) }
            table[slot] = UInt32(place)
        }
    }
}
