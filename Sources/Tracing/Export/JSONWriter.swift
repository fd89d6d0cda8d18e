/// The value of an attribute.
enum AttributeValue {
    case text(String)
    case int(Int64)
    case double(Double)
}

/// Writes JSON, one value after another. The caller keeps keys and values in order.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var isFirst = true

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func object(_ key: String? = nil, _ body: (inout JSONWriter) -> Void) { nest(key, "{", "}", body) }

    mutating func array(_ key: String? = nil, _ body: (inout JSONWriter) -> Void) { nest(key, "[", "]", body) }

    mutating func text(_ key: String, _ value: String) {
        begin(key)
        quote(value)
    }

    mutating func number(_ key: String, _ value: Int) {
        begin(key)
        bytes.append(contentsOf: "\(value)".utf8)
    }

    /// The list `attributes` of OTLP. Integers of 64 bits are texts there.
    mutating func attributes(_ list: [(String, AttributeValue)]) {
        array("attributes") {
            for (name, value) in list {
                $0.object {
                    $0.text("key", name)
                    $0.object("value") {
                        switch value {
                        case .text(let text): $0.text("stringValue", text)
                        case .int(let number): $0.text("intValue", "\(number)")
                        case .double(let number):
                            $0.begin("doubleValue")
                            $0.bytes.append(contentsOf: (number.isFinite ? "\(number)" : "0").utf8)
                        }
                    }
                }
            }
        }
    }

    private mutating func nest(
        _ key: String?, _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void
    ) {
        begin(key)
        bytes.append(UInt8(ascii: open))
        isFirst = true
        body(&self)
        bytes.append(UInt8(ascii: close))
        isFirst = false
    }

    private mutating func begin(_ key: String?) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        guard let key else { return }
        quote(key)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20: bytes.append(contentsOf: "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
