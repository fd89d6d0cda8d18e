/// SIDs without an index. A SID is the sequence number of its message or call under a keyed bijection, followed by a
/// check word.
///
/// It has the form of Twilio's (`SM` or `CA` and 32 hexadecimal digits), differs from run to run, and is decoded instead
/// of looked up. It is not cryptography, which a simulator does not need.
struct SIDCodec {
    private let prefix: [UInt8]
    private let key: UInt64
    private let checkKey: UInt64

    /// `prefix` has two letters.
    init(prefix: StaticString = "SM", key: UInt64, checkKey: UInt64) {
        self.prefix = Array(prefix.description.utf8)
        self.key = key
        self.checkKey = checkKey
    }

    /// Appends the SID, 34 bytes.
    func append(_ sequence: Int, to output: inout [UInt8]) {
        let high = SplitMix64.mix(UInt64(bitPattern: Int64(sequence)) ^ key)
        output.append(contentsOf: prefix)
        output.append(hex: high)
        output.append(hex: SplitMix64.mix(high ^ checkKey))
    }

    func sid(_ sequence: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        append(sequence, to: &bytes)
        return bytes
    }

    /// The sequence number behind a SID of this run, or nil.
    func sequence(of sid: some Collection<UInt8>) -> Int? {
        guard sid.count == 34, sid.starts(with: prefix),
            let high = Hex.number(sid.dropFirst(2).prefix(16)),
            let low = Hex.number(sid.dropFirst(18)),
            low == SplitMix64.mix(high ^ checkKey)
        else { return nil }
        return Int(exactly: Int64(bitPattern: Self.unmix(high) ^ key))
    }

    /// The inverse of `SplitMix64.mix`: the same steps backwards, with the multipliers' inverses modulo 2^64.
    private static func unmix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 31) ^ (mixed >> 62)) &* 0x3196_42B2_D24D_8EC3
        mixed = (mixed ^ (mixed >> 27) ^ (mixed >> 54)) &* 0x96DE_1B17_3F11_9089
        return mixed ^ (mixed >> 30) ^ (mixed >> 60)
    }
}

/// SplitMix64, for faults by rate: reproducible from a seed.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// Its finaliser: a bijection.
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
