/// Random numbers for jitter, drawn without a system call: SplitMix64 (Steele, Lea, Flood 2014). Not for anything that
/// has to be hard to guess.
struct JitterGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Begins where the system's generator says.
    init() { state = .random(in: .min ... .max) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
