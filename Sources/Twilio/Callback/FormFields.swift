/// Reads `application/x-www-form-urlencoded` as the WHATWG URL standard does: `+` is a space, and a broken escape
/// stands for itself.
enum FormFields {
    /// The most fields read. Twilio sends about twenty, and sorting many more would let an unsigned request cost time.
    static let most = 256

    /// Names and values, decoded and untrimmed, in the order sent; nil if there are more than `most`. Invalid UTF-8
    /// becomes U+FFFD, which no signature matches.
    static func decode(_ bytes: Span<UInt8>) -> [(name: String, value: String)]? {
        var fields: [(name: String, value: String)] = []
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "&") { end += 1 }
            if end > start {
                guard fields.count < most else { return nil }
                var equals = start
                while equals < end, bytes[equals] != UInt8(ascii: "=") { equals += 1 }
                fields.append(
                    (text(bytes, start..<equals), equals < end ? text(bytes, equals + 1..<end) : ""))
            }
            start = end + 1
        }
        return fields
    }

    private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "+") {
                decoded.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), index + 1 < range.upperBound,
                let high = digit(bytes[index]), let low = digit(bytes[index + 1])
            {
                decoded.append(high << 4 | low)
                index += 2
            } else {
                decoded.append(byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
