import EventLoop

/// A set of job ids that forgets each some time after it was added: one bit per id, in pages of 4,096 ids. Pure.
///
/// Ids come from one sequence, so pages fill up. A page is kept for `span` after its last addition. There are 4,096
/// pages at most (2.4 MB); if more are needed at a time, the page with the oldest addition goes.
struct JobSet: Sendable {
    static let mostPages = 4_096
    private static let idBits = 12
    private static let wordsPerPage = 1 << (idBits - 6)

    private let span: Instant.Duration
    /// By page number: where the page lies.
    private var places: [Int64: Int] = [:]
    private var words: [UInt64] = []
    /// By place.
    private var pages: [(number: Int64, addedAt: Instant)] = []
    /// The page of the last id that was added, which usually is the page of the next one too.
    private var last: (number: Int64, place: Int)?

    /// A set that keeps what was added for `span`.
    init(span: Instant.Duration) { self.span = span }

    /// Adds an id; whether it was there.
    mutating func insert(_ id: Int64, at now: Instant) -> Bool {
        let place = place(of: id) ?? makePage(id >> Self.idBits, at: now)
        last = (id >> Self.idBits, place)
        pages[place].addedAt = now
        let (word, mask) = bit(id, place)
        let wasThere = words[word] & mask != 0
        words[word] |= mask
        return wasThere
    }

    /// Whether an id was added, and neither removed nor forgotten.
    func contains(_ id: Int64) -> Bool {
        guard let place = place(of: id) else { return false }
        let (word, mask) = bit(id, place)
        return words[word] & mask != 0
    }

    mutating func remove(_ id: Int64) {
        guard let place = place(of: id) else { return }
        let (word, mask) = bit(id, place)
        words[word] &= ~mask
    }

    private func bit(_ id: Int64, _ place: Int) -> (word: Int, mask: UInt64) {
        let index = Int(id & (1 << Self.idBits - 1))
        return (place * Self.wordsPerPage + index >> 6, 1 << UInt64(index & 63))
    }

    private func place(of id: Int64) -> Int? {
        let number = id >> Self.idBits
        if let last, last.number == number { return last.place }
        return places[number]
    }

    private mutating func makePage(_ number: Int64, at now: Instant) -> Int {
        let oldest = pages.indices.min { pages[$0].addedAt < pages[$1].addedAt }
        let place: Int
        if let oldest, now - pages[oldest].addedAt > span || pages.count >= Self.mostPages {
            place = oldest
            places[pages[place].number] = nil
            pages[place] = (number, now)
            for word in place * Self.wordsPerPage..<(place + 1) * Self.wordsPerPage { words[word] = 0 }
        } else {
            place = pages.count
            pages.append((number, now))
            words.append(contentsOf: repeatElement(0, count: Self.wordsPerPage))
        }
        places[number] = place
        return place
    }
}
