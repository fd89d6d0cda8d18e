/// Comparison that does not tell by its time where two values first differ.
public enum ConstantTime {
    /// Whether both hold the same bytes. Takes a time that depends on the lengths alone.
    public static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
