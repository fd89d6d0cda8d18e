/// Fields of an `application/x-www-form-urlencoded` body or of a query, in the order sent.
struct Form: Equatable {
    struct Field: Equatable {
        var name: [UInt8]
        var value: [UInt8]
    }

    var fields: [Field] = []

    /// Parses as the WHATWG URL standard does: `+` is a space, a broken escape stands for itself, empty parts are
    /// skipped.
    init(_ bytes: some Collection<UInt8>) {
        var field = Field(name: [], value: [])
        var inValue = false
        var seen = false
        field.value.reserveCapacity(min(bytes.count, 256))
        var index = bytes.startIndex
        while index != bytes.endIndex {
            var byte = bytes[index]
            bytes.formIndex(after: &index)
            switch byte {
            case UInt8(ascii: "&"):
                if seen { fields.append(field) }
                field = Field(name: [], value: [])
                inValue = false
                seen = false
                continue
            case UInt8(ascii: "=") where !inValue:
                inValue = true
                seen = true
                continue
            case UInt8(ascii: "+"):
                byte = UInt8(ascii: " ")
            case UInt8(ascii: "%"):
                if let (decoded, after) = Self.escape(in: bytes, at: index) {
                    byte = decoded
                    index = after
                }
            default:
                break
            }
            seen = true
            if inValue { field.value.append(byte) } else { field.name.append(byte) }
        }
        if seen { fields.append(field) }
    }

    /// The first value of that name, or nil.
    subscript(name: StaticString) -> [UInt8]? {
        let wanted = name.description.utf8
        return fields.first { $0.name.elementsEqual(wanted) }?.value
    }

    /// The same, for a name that is made.
    func value(_ name: String) -> [UInt8]? {
        fields.first { $0.name.elementsEqual(name.utf8) }?.value
    }

    /// The first value of that name as text, or nil.
    func text(_ name: StaticString) -> String? {
        self[name].map { String(utf8: $0) }
    }

    /// The two hexadecimal digits after a `%`, decoded, and the index after them.
    private static func escape<C: Collection<UInt8>>(in bytes: C, at index: C.Index) -> (UInt8, C.Index)? {
        guard index != bytes.endIndex, let high = Hex.value(bytes[index]) else { return nil }
        let second = bytes.index(after: index)
        guard second != bytes.endIndex, let low = Hex.value(bytes[second]) else { return nil }
        return (high << 4 | low, bytes.index(after: second))
    }
}

/// Percent-encoding of everything outside RFC 3986's unreserved characters.
enum PercentEncoding {
    static func append(_ bytes: some Sequence<UInt8>, to output: inout [UInt8]) {
        for byte in bytes {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                output.append(byte)
            default:
                output.append(UInt8(ascii: "%"))
                output.append(Hex.upperDigits[Int(byte >> 4)])
                output.append(Hex.upperDigits[Int(byte & 15)])
            }
        }
    }
}
