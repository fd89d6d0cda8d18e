/// Random numbers that depend on the seed alone (SplitMix64), so that a failing property test fails again.
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Consecutive seeds give independent sequences.
    public init(_ seed: some BinaryInteger) { state = UInt64(truncatingIfNeeded: seed) &* 0xD134_2543_DE82_EF95 }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
