/// The longest message that Twilio takes. It refuses a longer body as a whole (error 21617), whatever its segments.
public enum MessageLength {
    /// UTF-16 units.
    public static let limit = 1_600

    /// The number of UTF-16 units of a text in UTF-8, counted without making a string.
    public static func units(utf8 bytes: some Sequence<UInt8>) -> Int {
        // A unit for each byte that begins a character, and one more where it needs a surrogate pair.
        bytes.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : $1 >= 0xF0 ? 2 : 1) }
    }

    /// Whether Twilio takes a text of these bytes. A text never has more units than bytes.
    public static func fits(utf8 bytes: [UInt8]) -> Bool { bytes.count <= limit || units(utf8: bytes) <= limit }
}
