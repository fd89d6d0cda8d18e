/// An enhanced status code (RFC 3463), such as 5.1.1.
public struct EnhancedStatus: Sendable, Hashable, CustomStringConvertible {
    /// 2, 4 or 5.
    public var severity: Int
    public var subject: Int
    public var detail: Int

    public var description: String { "\(severity).\(subject).\(detail)" }

    init(_ severity: Int, _ subject: Int, _ detail: Int) {
        (self.severity, self.subject, self.detail) = (severity, subject, detail)
    }

    /// Reads the first word of a reply's line (RFC 2034). Nil if it is not such a code.
    init?(_ line: [UInt8]) {
        let parts = line.prefix { $0 != 0x20 }
            .split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3,
            parts.allSatisfy({ (1...3).contains($0.count) && $0.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        let numbers = parts.map { $0.reduce(0) { $0 * 10 + Int($1 - 0x30) } }
        guard [2, 4, 5].contains(numbers[0]) else { return nil }
        self.init(numbers[0], numbers[1], numbers[2])
    }
}
