/// The identifier of a trace: 16 bytes, not all zero.
public struct TraceID: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    /// Nil if both are zero, which W3C Trace Context forbids.
    public init?(high: UInt64, low: UInt64) {
        guard high | low != 0 else { return nil }
        (self.high, self.low) = (high, low)
    }

    /// Draws a new identifier.
    init(using random: inout some RandomNumberGenerator) {
        high = random.next()
        low = random.next(in: 1 ... .max)
    }
}

/// The identifier of a span within its trace: 8 bytes, not all zero.
public struct SpanID: Sendable, Hashable {
    let value: UInt64

    /// Nil if it is zero, which W3C Trace Context forbids.
    public init?(_ value: UInt64) {
        guard value != 0 else { return nil }
        self.value = value
    }

    /// Draws a new identifier.
    init(using random: inout some RandomNumberGenerator) { value = random.next(in: 1 ... .max) }
}

extension TraceID: CustomStringConvertible {
    /// 32 hexadecimal digits in lower case.
    public var description: String { String(decoding: hexDigits(high) + hexDigits(low), as: UTF8.self) }
}

extension SpanID: CustomStringConvertible {
    /// 16 hexadecimal digits in lower case.
    public var description: String { String(decoding: hexDigits(value), as: UTF8.self) }
}

/// One span of one trace, as W3C Trace Context passes it on: a caller's `traceparent`, or a span of otpd's own.
public struct TraceContext: Sendable, Hashable {
    /// The trace.
    public let traceID: TraceID
    /// The span.
    public let spanID: SpanID
    /// Whether its maker records it.
    public let isSampled: Bool

    /// The length of a `traceparent` of version 00.
    public static let length = 55

    /// A context of these parts.
    public init(traceID: TraceID, spanID: SpanID, isSampled: Bool) {
        (self.traceID, self.spanID, self.isSampled) = (traceID, spanID, isSampled)
    }

    /// Parses a `traceparent` of version 00, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`. Nil for
    /// anything else. (`otp.checked_traceparent` writes later versions in this form, too.)
    public init?(traceparent text: String) {
        let bytes = text.utf8
        guard bytes.count == Self.length else { return nil }
        var fields: [UInt64] = []
        var rest = bytes[...]
        // The parts: how many digits, and the byte after them.
        for (digits, isLast) in [(2, false), (16, nil), (16, false), (16, false), (2, true)] as [(Int, Bool?)] {
            guard let field = number(rest.prefix(digits)) else { return nil }
            fields.append(field)
            rest = rest.dropFirst(digits)
            if isLast == false {
                guard rest.first == UInt8(ascii: "-") else { return nil }
                rest = rest.dropFirst()
            }
        }
        guard fields[0] == 0, let traceID = TraceID(high: fields[1], low: fields[2]), let spanID = SpanID(fields[3])
        else { return nil }
        self.init(traceID: traceID, spanID: spanID, isSampled: fields[4] & 1 == 1)
    }

    /// As a `traceparent` of version 00.
    public var traceparent: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }
}

/// The value of hexadecimal digits in lower case; nil if there are others among them.
private func number(_ digits: some Collection<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for byte in digits {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
        default: return nil
        }
    }
    return value
}

/// The sixteen hexadecimal digits of a number, in lower case.
func hexDigits(_ value: UInt64) -> [UInt8] {
    stride(from: 60, through: 0, by: -4).map { shift in
        let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15
        return digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}

extension RandomNumberGenerator {
    /// A number of this range, as `UInt64.random(in:using:)` draws it.
    fileprivate mutating func next(in range: ClosedRange<UInt64>) -> UInt64 { .random(in: range, using: &self) }
}
