/// How a text is transmitted: its alphabet, and its number of segments. Each segment is billed.
///
/// GSM-7 is used if its alphabet (3GPP TS 23.038) has every character. It allows 160 units in one segment, or 153 in
/// each of several, because the header that joins them takes seven. An extension character takes two units and is never
/// split. Otherwise UCS-2 is used: 70 UTF-16 units in one segment, or 67 in each of several. A surrogate pair is never
/// split.
public struct SegmentCount: Sendable, Hashable {
    public enum Encoding: String, Sendable, Hashable {
        case gsm7 = "gsm-7"
        case ucs2 = "ucs-2"
    }

    public let encoding: Encoding
    /// Septets in GSM-7, UTF-16 units in UCS-2.
    public let units: Int
    /// How many segments are sent; 0 for an empty text.
    public let segments: Int

    public init(_ text: String) {
        let scalars = text.unicodeScalars
        let isGSM7 = scalars.allSatisfy { GSM7.units(of: $0) != nil }
        encoding = isGSM7 ? .gsm7 : .ucs2
        let widths = scalars.lazy.map { isGSM7 ? GSM7.units(of: $0) ?? 0 : UTF16.width($0) }
        units = widths.reduce(0, +)
        let (alone, joined) = isGSM7 ? (160, 153) : (70, 67)
        guard units > alone else {
            segments = units == 0 ? 0 : 1
            return
        }
        var segments = 1
        var used = 0
        for width in widths {
            if used + width > joined {
                segments += 1
                used = 0
            }
            used += width
        }
        self.segments = segments
    }

    /// Counts a rendered message. Invalid UTF-8 counts as its repaired form.
    public init(utf8 bytes: [UInt8]) {
        self.init(String(decoding: bytes, as: UTF8.self))
    }

    /// The characters of a text that GSM-7 lacks, each once, in order. They are the reason for UCS-2.
    public static func beyondGSM7(_ text: String) -> [Unicode.Scalar] {
        var seen: [Unicode.Scalar] = []
        for scalar in text.unicodeScalars where GSM7.units(of: scalar) == nil && !seen.contains(scalar) {
            seen.append(scalar)
        }
        return seen
    }
}

/// The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, 6.2.1).
enum GSM7 {
    /// How many septets a character takes: one, two from the extension table, or nil if the alphabet lacks it.
    static func units(of scalar: Unicode.Scalar) -> Int? {
        switch scalar {
        case "\n", "\r", " "..."#", "%"..."?", "A"..."Z", "a"..."z", "@", "$", "_": 1
        case "£", "¥", "è", "é", "ù", "ì", "ò", "Ç", "Ø", "ø", "Å", "å", "Æ", "æ", "ß", "É", "¤", "¡": 1
        case "Ä", "Ö", "Ñ", "Ü", "§", "¿", "ä", "ö", "ñ", "ü", "à": 1
        case "Δ", "Φ", "Γ", "Λ", "Ω", "Π", "Ψ", "Σ", "Θ", "Ξ": 1
        case "\u{C}", "^", "{", "}", "\\", "[", "~", "]", "|", "€": 2
        default: nil
        }
    }
}
