public import EventLoop

extension ExportAnswer {
    /// What a collector's answer means, by OTLP's specification: 2xx took the spans, and only 429, 502, 503 and 504 ask for
    /// another try.
    public init(status: Int, body: [UInt8], retryAfter: Instant.Duration?) {
        self =
            switch status {
            case 200..<300: .taken(rejected: Self.rejectedSpans(body))
            case 429, 502, 503, 504: .tryAgain(after: retryAfter)
            default: .refused
            }
    }

    /// How many spans a collector refused although it took the others: `partialSuccess.rejectedSpans`, a number or its
    /// text. Nothing else of the answer matters.
    private static func rejectedSpans(_ body: [UInt8]) -> Int64 {
        guard let key = body.firstRange(of: Array("\"rejectedSpans\"".utf8)) else { return 0 }
        let digits = body[key.upperBound...].drop { !isDigit($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "}") }
            .prefix { isDigit($0) }
        return Int64(String(decoding: digits, as: UTF8.self)) ?? 0
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
