/// A state in three words, which identify it among the visited ones.
struct Key: Equatable {
    var first: UInt64
    var second: UInt64
    var third: UInt64 = 0

    var hash: UInt64 {
        let last = (third ^ (third >> 29)) &* 0xD6E8_FEB8_6659_FD93
        let mixed = (first ^ ((second ^ last) &* 0x9E37_79B9_7F4A_7C15)) &* 0xBF58_476D_1CE4_E5B9
        let again = (mixed ^ (mixed >> 31) ^ second) &* 0x94D0_49BB_1331_11EB
        return again ^ (again >> 29)
    }
}

extension World {
    var key: Key {
        var first = Packer()
        for job in 0..<World.jobs {
            first.put(rows[job])
        }
        for slot in 0..<World.lookups { first.put(lookups[slot].code, bits: 11) }
        var second = Packer()
        for index in 0..<World.attempts {
            let attempt = attempts[index]
            second.put(attempt.phase.rawValue, bits: 3)
            second.put(attempt.trust + 1, bits: 3)
            second.put(attempt.http + 1, bits: 2)
            second.put(attempt.body.code, bits: 5)
            second.put(attempt.isRecorded ? 1 : 0, bits: 1)
        }
        for job in 0..<World.jobs { second.put(rows[job].sinceLookup, bits: 2) }
        second.put(isDead ? 1 : 0, bits: 1)
        second.put(hasFailedOver ? 1 : 0, bits: 1)
        var third = Packer()
        for index in 0..<World.attempts {
            third.put(attempts[index].number, bits: 2)
            third.put(attempts[index].isRemembered ? 1 : 0, bits: 1)
            third.put(attempts[index].mustRecall ? 1 : 0, bits: 1)
        }
        for job in 0..<World.jobs { third.put(rows[job].holder + 1, bits: 3) }
        for slot in 0..<World.lookups { third.put(lookups[slot].isCurrentOnStandby ? 1 : 0, bits: 1) }
        third.put(standby.phase.rawValue, bits: 2)
        third.put(standby.row)
        third.put(standby.row.holder + 1, bits: 3)
        third.put(standby.row.sinceLookup, bits: 2)
        third.put(standby.recorded, bits: 4)
        return Key(first: first.word, second: second.word, third: third.word)
    }

    init(_ key: Key) {
        rows = InlineArray(repeating: Row())
        var first = Packer(key.first)
        for job in 0..<World.jobs {
            rows[job] = first.takeRow()
        }
        for slot in 0..<World.lookups { lookups[slot] = PendingLookup(code: first.takeWide(11)) }
        var second = Packer(key.second)
        for index in 0..<World.attempts {
            attempts[index].phase = Attempt.Phase(rawValue: UInt8(second.take(3)))!
            attempts[index].trust = second.take(3) - 1
            attempts[index].http = second.take(2) - 1
            attempts[index].body = Attempt.Body(code: second.take(5))
            attempts[index].isRecorded = second.take(1) == 1
        }
        for job in 0..<World.jobs { rows[job].sinceLookup = second.take(2) }
        isDead = second.take(1) == 1
        hasFailedOver = second.take(1) == 1
        var third = Packer(key.third)
        for index in 0..<World.attempts {
            attempts[index].number = third.take(2)
            attempts[index].isRemembered = third.take(1) == 1
            attempts[index].mustRecall = third.take(1) == 1
        }
        for job in 0..<World.jobs { rows[job].holder = third.take(3) - 1 }
        for slot in 0..<World.lookups { lookups[slot].isCurrentOnStandby = third.take(1) == 1 }
        standby.phase = Standby.Phase(rawValue: UInt8(third.take(2)))!
        standby.row = third.takeRow()
        standby.row.holder = third.take(3) - 1
        standby.row.sinceLookup = third.take(2)
        standby.recorded = UInt8(third.take(4))
    }
}

/// Bit fields, beginning with the lowest.
struct Packer {
    private(set) var word: UInt64
    private var shift: UInt64 = 0

    init(_ word: UInt64 = 0) { self.word = word }

    mutating func put(_ value: some BinaryInteger, bits: UInt64) {
        let value = UInt64(value)
        precondition(value < 1 << bits && shift + bits <= 64, "a field of the model does not fit into its bits")
        word |= value << shift
        shift += bits
    }

    mutating func take(_ bits: UInt64) -> Int8 { Int8(takeWide(bits)) }

    mutating func takeWide(_ bits: UInt64) -> Int16 {
        defer { shift += bits }
        return Int16((word >> shift) & ((1 << bits) - 1))
    }
}

extension Packer {
    /// A row without its holder.
    mutating func put(_ row: Row) {
        put(row.state.rawValue, bits: 3)
        put(row.attempt, bits: 2)
        put(row.lease - Row.longAgo, bits: 4)
        put(row.age - Row.youngest, bits: 4)
        put(row.lookupAt, bits: 3)
        put(row.lookups, bits: 2)
        put(row.lostClaims, bits: 2)
    }

    mutating func takeRow() -> Row {
        var row = Row()
        row.state = Row.State(rawValue: UInt8(take(3)))!
        row.attempt = take(2)
        row.lease = take(4) + Row.longAgo
        row.age = take(4) + Row.youngest
        row.lookupAt = take(3)
        row.lookups = take(2)
        row.lostClaims = take(2)
        return row
    }
}

extension Attempt.Body {
    /// The longest representable times.
    static let longestUnderway: Int8 = 11
    static let longestUnlisted: Int8 = 18

    var code: Int8 {
        switch self {
        case .nothing: 0
        case .underway(let ticks): 1 + ticks
        case .accepted(let ticks): 2 + Self.longestUnderway + ticks
        }
    }

    init(code: Int8) {
        switch code {
        case 0: self = .nothing
        case ...(1 + Self.longestUnderway): self = .underway(code - 1)
        default: self = .accepted(unlisted: code - 2 - Self.longestUnderway)
        }
    }
}

extension PendingLookup {
    var code: Int16 {
        let kind: Int16 =
            switch verdict {
            case .none: 0
            case .lookUpAgain(let ticks): Int16(ticks)
            case .countAndLookUpAgain: 8
            case .resend: 9
            case .fail: 10
            }
        return kind | Int16(attempt) << 4 | Int16(job) << 6 | Int16(token + 1) << 7 | (isCurrent ? 1 << 10 : 0)
    }

    init(code: Int16) {
        self.init()
        switch code & 15 {
        case 0: return
        case 8: verdict = .countAndLookUpAgain
        case 9: verdict = .resend
        case 10: verdict = .fail
        case let ticks: verdict = .lookUpAgain(after: Int8(ticks))
        }
        attempt = Int8(code >> 4 & 3)
        job = Int8(code >> 6 & 1)
        token = Int8(code >> 7 & 7) - 1
        isCurrent = code >> 10 == 1
    }
}
