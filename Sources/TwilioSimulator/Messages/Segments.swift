/// Counts segments as Twilio bills them: GSM 03.38 with 160/153 units, otherwise UCS-2 with 70/67.
enum Segments {
    /// How many segments the text takes, at least 1. A two-unit character is never split.
    static func count(_ text: String) -> Int {
        var units = 0
        var gsm = true
        for scalar in text.unicodeScalars where gsm {
            if basic(scalar) { units += 1 } else if extended.contains(scalar) { units += 2 } else { gsm = false }
        }
        if gsm {
            return units <= 160 ? 1 : greedy(text.unicodeScalars.map { basic($0) ? 1 : 2 }, perSegment: 153)
        }
        return text.utf16.count <= 70
            ? 1 : greedy(text.unicodeScalars.map { $0.value > 0xFFFF ? 2 : 1 }, perSegment: 67)
    }

    private static func greedy(_ sizes: [Int], perSegment limit: Int) -> Int {
        var segments = 1
        var used = 0
        for size in sizes {
            if used + size > limit {
                segments += 1
                used = 0
            }
            used += size
        }
        return segments
    }

    private static func basic(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x5A: true
        case 0x61...0x7A, 0x0A, 0x0D, 0x5F: true
        case 0x5B...0x60, 0x7B...0x7F, 0...0x1F: false
        default: others.contains(scalar)
        }
    }

    private static let extended = Set("^{}\\[~]|€\u{0C}".unicodeScalars)
    private static let others = Set("£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà".unicodeScalars)
}
