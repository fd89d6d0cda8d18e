internal import CCurl
internal import Glibc

/// The few things of an answer's head that are wanted, picked from its lines as libcurl hands them over.
struct AnswerHead {
    private(set) var retryAfter: Int?
    private(set) var concurrentRequests: Int?
    /// Bytes of all heads of this transfer, interim answers included.
    private(set) var size = 0
    /// Every header, where they are collected.
    private(set) var headers: [Request.Header] = []

    /// Takes one line in, its line break included; a status line starts the next head.
    mutating func take(_ line: Span<UInt8>, collecting: Bool) {
        size += line.count
        guard line.count > 2 else { return }
        switch line[0] | 0x20 {
        case UInt8(ascii: "h") where Self.hasPrefix(line, "http/"):
            retryAfter = nil
            concurrentRequests = nil
            headers.removeAll(keepingCapacity: true)
            return
        case UInt8(ascii: "r") where Self.hasPrefix(line, "retry-after:"):
            retryAfter = Self.seconds(Self.value(line, after: 12))
        case UInt8(ascii: "t") where Self.hasPrefix(line, "twilio-concurrent-requests:"):
            concurrentRequests = Self.number(Self.value(line, after: 27))
        default: break
        }
        if collecting { collect(line) }
    }

    mutating func reset() {
        retryAfter = nil
        concurrentRequests = nil
        size = 0
        if !headers.isEmpty { headers = [] }
    }

    private mutating func collect(_ line: Span<UInt8>) {
        guard let colon = line.indices.first(where: { line[$0] == UInt8(ascii: ":") }) else { return }
        let name = String(decoding: (0..<colon).map { line[$0] }, as: UTF8.self).lowercased()
        headers.append(.init(name, String(decoding: Self.value(line, after: colon + 1), as: UTF8.self)))
    }

    /// Whether `line` begins with `name`, given in lower case.
    private static func hasPrefix(_ line: Span<UInt8>, _ name: StaticString) -> Bool {
        guard line.count >= name.utf8CodeUnitCount else { return false }
        for index in 0..<name.utf8CodeUnitCount {
            let expected = unsafe name.utf8Start[index]
            let isLetter = expected >= UInt8(ascii: "a") && expected <= UInt8(ascii: "z")
            guard (isLetter ? line[index] | 0x20 : line[index]) == expected else { return false }
        }
        return true
    }

    /// The bytes from `start` on, without the white space around them.
    private static func value(_ line: Span<UInt8>, after start: Int) -> [UInt8] {
        var (first, last) = (start, line.count)
        while first < last, line[first] <= 0x20 { first += 1 }
        while last > first, line[last - 1] <= 0x20 { last -= 1 }
        return (first..<last).map { line[$0] }
    }

    /// A decimal number without a sign; nil for anything else.
    static func number(_ value: [UInt8]) -> Int? {
        guard !value.isEmpty, value.count <= 9, value.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return value.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// `Retry-After` in seconds, at most a day: a number, or a date (RFC 9110 10.2.3); nil for anything else.
    static func seconds(_ value: [UInt8], wallClock: Int = time(nil)) -> Int? {
        if let number = number(value) { return min(number, 86_400) }
        // libcurl's parser of dates: bound to no locale. It also takes bare numbers, which were dealt with above.
        guard value.contains(UInt8(ascii: ":")) else { return nil }
        let date = unsafe curl_getdate(String(decoding: value, as: UTF8.self), nil)
        return date < 0 ? nil : min(max(0, date - wallClock), 86_400)
    }
}
