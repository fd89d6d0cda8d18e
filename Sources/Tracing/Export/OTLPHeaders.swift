/// The headers of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs with commas between them, as in W3C Baggage. Values
/// may be percent-encoded. Pure.
public struct OTLPHeaders: Sendable, Equatable {
    public let list: [Header]

    /// One header. Its value may be a secret.
    public struct Header: Sendable, Equatable {
        public let name: String
        public let value: String
    }

    /// What is wrong with the text. It never shows a value.
    public struct FormError: Error, Equatable {
        public let reason: String
    }

    /// No headers.
    public init() { list = [] }

    /// Parses the text of the variable.
    public init(_ text: String) throws(FormError) {
        var list: [Header] = []
        for (index, pair) in text.utf8.split(separator: UInt8(ascii: ",")).enumerated() {
            let place = "entry \(index + 1)"
            guard let equals = pair.firstIndex(of: UInt8(ascii: "=")) else {
                throw FormError(reason: "\(place) has no =")
            }
            let name = Self.trimmed(pair[..<equals])
            // Properties come after a semicolon. They mean nothing to a header.
            let rest = pair[pair.index(after: equals)...].prefix { $0 != UInt8(ascii: ";") }
            guard !name.isEmpty, name.allSatisfy(Self.isNameByte) else {
                throw FormError(reason: "\(place) has no valid name of a header")
            }
            guard let value = Self.decoded(Self.trimmed(rest)), !value.isEmpty,
                value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else { throw FormError(reason: "\(place) has no valid value") }
            list.append(
                Header(name: String(decoding: name, as: UTF8.self), value: String(decoding: value, as: UTF8.self)))
        }
        self.list = list
    }

    private static func trimmed(_ bytes: Substring.UTF8View) -> [UInt8] {
        var bytes = Array(bytes)
        while bytes.last == 0x20 || bytes.last == 0x09 { bytes.removeLast() }
        return Array(bytes.drop { $0 == 0x20 || $0 == 0x09 })
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// Percent-decodes; nil for a percent sign without two hexadecimal digits after it.
    private static func decoded(_ bytes: [UInt8]) -> [UInt8]? {
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "%") else {
                decoded.append(bytes[index])
                index += 1
                continue
            }
            guard index + 2 < bytes.count,
                let byte = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16),
                bytes[index + 1] != UInt8(ascii: "+"), bytes[index + 1] != UInt8(ascii: "-")
            else { return nil }
            decoded.append(byte)
            index += 3
        }
        return decoded
    }
}
