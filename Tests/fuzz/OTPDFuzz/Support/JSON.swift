/// A strict reader of JSON (RFC 8259), independent of otpd's own. The tests compare otpd's scan and decoder with it.
indirect enum JSON {
    case object([Member])
    case array([JSON])
    /// `raw`: the bytes between the quotes.
    case string(raw: Range<Int>, hasEscape: Bool)
    case number(Range<Int>)
    case literal

    struct Member {
        let name: Range<Int>
        let nameHasEscape: Bool
        let value: JSON
    }

    /// Nil if the bytes are not a JSON text in UTF-8, or are nested more than 200 levels deep.
    init?(_ bytes: [UInt8]) {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var reader = Reader(bytes: bytes)
        guard let value = reader.value(depth: 0) else { return nil }
        reader.space()
        guard reader.at == bytes.count else { return nil }
        self = value
    }

    /// The members of an object; nil for anything else.
    var members: [Member]? {
        if case .object(let members) = self { members } else { nil }
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0

        var next: UInt8? { at < bytes.count ? bytes[at] : nil }

        mutating func space() {
            while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { at += 1 }
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard next == UInt8(ascii: character) else { return false }
            at += 1
            return true
        }

        mutating func value(depth: Int) -> JSON? {
            guard depth < 200 else { return nil }
            space()
            switch next {
            case UInt8(ascii: "{"): return object(depth)
            case UInt8(ascii: "["): return array(depth)
            case UInt8(ascii: "\""): return string().map { .string(raw: $0.0, hasEscape: $0.1) }
            case UInt8(ascii: "t"): return word("true")
            case UInt8(ascii: "f"): return word("false")
            case UInt8(ascii: "n"): return word("null")
            default: return number()
            }
        }

        mutating func word(_ word: String) -> JSON? {
            guard bytes[at...].starts(with: word.utf8) else { return nil }
            at += word.utf8.count
            return .literal
        }

        mutating func object(_ depth: Int) -> JSON? {
            var members: [Member] = []
            guard take("{") else { return nil }
            space()
            if take("}") { return .object([]) }
            while true {
                space()
                guard let (name, hasEscape) = string() else { return nil }
                space()
                guard take(":"), let value = value(depth: depth + 1) else { return nil }
                members.append(Member(name: name, nameHasEscape: hasEscape, value: value))
                space()
                if take("}") { return .object(members) }
                guard take(",") else { return nil }
            }
        }

        mutating func array(_ depth: Int) -> JSON? {
            var elements: [JSON] = []
            guard take("[") else { return nil }
            space()
            if take("]") { return .array([]) }
            while true {
                guard let value = value(depth: depth + 1) else { return nil }
                elements.append(value)
                space()
                if take("]") { return .array(elements) }
                guard take(",") else { return nil }
            }
        }

        mutating func string() -> (Range<Int>, Bool)? {
            guard take("\"") else { return nil }
            let start = at
            var hasEscape = false
            while let byte = next {
                at += 1
                switch byte {
                case UInt8(ascii: "\""): return (start..<at - 1, hasEscape)
                case UInt8(ascii: "\\"):
                    hasEscape = true
                    guard let escaped = next else { return nil }
                    at += 1
                    if escaped == UInt8(ascii: "u") {
                        guard at + 4 <= bytes.count, bytes[at..<at + 4].allSatisfy(isHexadecimal) else { return nil }
                        at += 4
                    } else if !"\"\\/bfnrt".utf8.contains(escaped) {
                        return nil
                    }
                case 0..<0x20: return nil
                default: continue
                }
            }
            return nil
        }

        mutating func number() -> JSON? {
            let start = at
            _ = take("-")
            if !take("0") { guard digits() else { return nil } }
            if take(".") { guard digits() else { return nil } }
            if take("e") || take("E") {
                if !take("+") { _ = take("-") }
                guard digits() else { return nil }
            }
            return .number(start..<at)
        }

        mutating func digits() -> Bool {
            let start = at
            while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
            return at > start
        }
    }
}

/// `0-9 a-f A-F`.
func isHexadecimal(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}

/// `SM`, `MM` or, of a call, `CA`, and 32 hexadecimal digits.
func isMessageSID(_ bytes: some Collection<UInt8>) -> Bool {
    bytes.count == 34 && ["SM", "MM", "CA"].contains { bytes.starts(with: $0.utf8) }
        && bytes.dropFirst(2).allSatisfy(isHexadecimal)
}
