import Glibc

/// Ends the process if a property does not hold. libFuzzer then keeps the input.
func require(
    _ condition: Bool, _ property: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
    guard !condition else { return }
    // Not with a trap: Swift would print a backtrace of its own, which disturbs libFuzzer's.
    let words = "otpd-fuzz: \(file):\(line): the property does not hold: \(property())\n"
    _ = words.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    abort()
}

extension Collection where Element == UInt8 {
    var text: String { String(decoding: self, as: UTF8.self) }

    /// The parts between `separator`s: at most `count`, of which the last takes the rest. Missing ones are empty.
    func parts(_ count: Int, separator: UInt8 = 0x0A) -> [[UInt8]] {
        var parts = split(separator: separator, maxSplits: count - 1, omittingEmptySubsequences: false).map {
            Array($0)
        }
        while parts.count < count { parts.append([]) }
        return parts
    }
}

extension [UInt8] {
    func contains(sequence: [UInt8]) -> Bool { firstRange(of: sequence) != nil }

    /// Every occurrence of `old` replaced, from left to right.
    func replacing(_ old: String, with new: [UInt8]) -> [UInt8] {
        let old = Array(old.utf8)
        var result: [UInt8] = []
        var rest = self[...]
        while let found = rest.firstRange(of: old) {
            result += rest[..<found.lowerBound]
            result += new
            rest = rest[found.upperBound...]
        }
        return result + rest
    }
}
