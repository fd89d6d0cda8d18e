/// Writes JSON by hand, because an encoder is too slow for the create path.
enum JSON {
    /// Appends a quoted string. `ascii` escapes every character past 0x7E as `\uXXXX`, as Twilio's 2010 API does;
    /// otherwise UTF-8 is kept. Invalid bytes become U+FFFD.
    static func append(string bytes: some Collection<UInt8>, ascii: Bool = true, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        if bytes.allSatisfy(isPlain) {
            output.append(contentsOf: bytes)
        } else {
            for scalar in String(utf8: bytes).unicodeScalars {
                append(scalar: scalar, ascii: ascii, to: &output)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    static func append(string text: String, ascii: Bool = true, to output: inout [UInt8]) {
        append(string: text.utf8, ascii: ascii, to: &output)
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func append(scalar: Unicode.Scalar, ascii: Bool, to output: inout [UInt8]) {
        switch scalar {
        case "\"": output.append(text: "\\\"")
        case "\\": output.append(text: "\\\\")
        case "\n": output.append(text: "\\n")
        case "\r": output.append(text: "\\r")
        case "\t": output.append(text: "\\t")
        default:
            if scalar.value >= 0x20 && scalar.value < 0x7F || !ascii && scalar.value > 0x7F {
                output.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
            } else {
                for unit in UTF16.encode(scalar).map({ Array($0) }) ?? [] {
                    output.append(text: "\\u")
                    for shift in [12, 8, 4, 0] {
                        output.append(Hex.digits[Int((unit >> UInt16(shift)) & 15)])
                    }
                }
            }
        }
    }
}
