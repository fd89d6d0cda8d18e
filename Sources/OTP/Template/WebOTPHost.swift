/// The host name of the web site that a code is for. The last line of a message names it (`@example.com #123456`).
///
/// Phones offer the code to that site's form alone, and only if the line has exactly this shape ("Origin-bound one-time
/// codes delivered via SMS", WICG, on which WebOTP is based).
public struct WebOTPHost: Sendable, Hashable {
    public let name: String

    /// Reads a host name in the form that browsers use: lower case, with two or more labels of ASCII letters, digits
    /// and hyphens. The last label begins with a letter, which rules addresses out.
    public init?(_ name: String) {
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard name.utf8.count <= 253, labels.count >= 2, labels.allSatisfy(Self.isLabel),
            let first = labels.last?.first, Self.letters.contains(first)
        else { return nil }
        self.name = name
    }

    private static let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")

    private static func isLabel(_ label: Substring.UTF8View.SubSequence) -> Bool {
        let hyphen = UInt8(ascii: "-")
        return (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
            && label.allSatisfy { letters.contains($0) || digits.contains($0) || $0 == hyphen }
    }
}
