internal import CIDN2
internal import Glibc

/// A domain in the form that DNS and SMTP use: labels of letters, digits and hyphens, in lower case.
struct DomainName: Hashable {
    let text: String

    /// The most bytes of a domain, and of a label (RFC 1035 2.3.4).
    static let longest = 253
    static let longestLabel = 63

    /// Reads a domain in ASCII. Nil if it is none.
    init?(ascii bytes: [UInt8]) {
        guard (1...Self.longest).contains(bytes.count) else { return nil }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy(Self.isLabel) else { return nil }
        text = String(decoding: bytes, as: UTF8.self).lowercased()
    }

    /// Reads a domain in any script (IDNA 2008). Nil if it is none.
    init?(international text: String) {
        guard !text.utf8.contains(0), text.utf8.count <= 2 * Self.longest, let ascii = Self.converted(text) else {
            return nil
        }
        self.init(ascii: ascii)
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        (1...longestLabel).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
            && label.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    private static func converted(_ text: String) -> [UInt8]? {
        var value: UnsafeMutablePointer<UInt8>?
        guard unsafe idn2_to_ascii(text, &value) == IDN2_OK.rawValue, let found = unsafe value else { return nil }
        defer { unsafe idn2_free(found) }
        return unsafe Array(UnsafeBufferPointer(start: found, count: strlen(found)))
    }
}
