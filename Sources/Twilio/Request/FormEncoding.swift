/// Encodes `application/x-www-form-urlencoded` byte by byte into a reused buffer.
///
/// Letters, digits and `-._~*` stay, a space becomes `+`, every other byte becomes `%XX`. A byte loop costs a twentieth
/// of `addingPercentEncoding`.
enum FormEncoding {
    /// Whether a byte stands for itself, by byte.
    private static let isPlain: [Bool] = (0..<256).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "*"):
            true
        default:
            false
        }
    }

    /// Appends `bytes`, encoded.
    static func append(_ bytes: Span<UInt8>, to buffer: inout [UInt8]) {
        let isPlain = isPlain
        // Reserves room for the worst case first. A call of `append` for each byte would check uniqueness and capacity
        // each time.
        var end = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: 3 * bytes.count))
        var written = buffer.mutableSpan
        for index in bytes.indices {
            let byte = bytes[index]
            if isPlain[Int(byte)] {
                written[end] = byte
            } else if byte == UInt8(ascii: " ") {
                written[end] = UInt8(ascii: "+")
            } else {
                written[end] = UInt8(ascii: "%")
                written[end + 1] = hexadecimal(byte >> 4)
                written[end + 2] = hexadecimal(byte & 0xF)
                end += 2
            }
            end += 1
        }
        buffer.removeLast(buffer.count - end)
    }

    /// Appends one byte, encoded. For a code, whose characters come one by one.
    static func append(_ byte: UInt8, to buffer: inout [UInt8]) {
        if isPlain[Int(byte)] {
            buffer.append(byte)
        } else {
            buffer.append(UInt8(ascii: "%"))
            buffer.append(hexadecimal(byte >> 4))
            buffer.append(hexadecimal(byte & 0xF))
        }
    }

    private static func hexadecimal(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
    }
}

extension [UInt8] {
    /// Appends text as it is, without making a string.
    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe append(contentsOf: $0) }
    }

    /// Appends the digits of a number that is not negative.
    mutating func append(decimal number: Int) {
        if number >= 10 { append(decimal: number / 10) }
        append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
    }
}
