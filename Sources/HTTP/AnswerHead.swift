internal import CCurl
internal import Glibc

/// The few wanted fields of an answer's head, picked from its lines as libcurl delivers them.
struct AnswerHead {
    private(set) var concurrentRequests: Int?
    /// The program that sent it. Only set for answers other than a success, because only those are explained.
    private(set) var origin = AnswerOrigin()
    private var isSuccess = true
    private var delay: Int?
    /// Seconds since 1970: the end of the wait that `Retry-After` asks for, and the answer's own `Date`.
    private var retryDate: Int?
    private var date: Int?
    /// The size in bytes of all heads of this transfer, interim answers included.
    private(set) var size = 0
    /// Every header, if they are collected.
    private(set) var headers: [Request.Header] = []

    /// The wait that `Retry-After` asks for in seconds, at most a day.
    ///
    /// A date is compared with the answer's own `Date`, so that this machine's clock does not matter.
    var retryAfter: Int? {
        let span = retryDate.map { min(max(0, $0 - (date ?? time(nil))), Self.longestDelay) }
        return switch (delay, span) {
        case (let delay?, let span?): max(delay, span)
        case (let one, let other): one ?? other
        }
    }

    private static let longestDelay = 86_400

    /// Reads one line, its line break included. A status line begins the next head.
    mutating func take(_ line: Span<UInt8>, collecting: Bool) {
        size += line.count
        guard line.count > 2 else { return }
        switch line[0] | 0x20 {
        case UInt8(ascii: "h") where Self.hasPrefix(line, "http/"):
            begin()
            isSuccess = Self.isSuccess(line)
            headers.removeAll(keepingCapacity: true)
            return
        case UInt8(ascii: "r") where Self.hasPrefix(line, "retry-after:"):
            readRetryAfter(Self.value(line, after: 12))
        case UInt8(ascii: "t") where Self.hasPrefix(line, "twilio-concurrent-requests:"):
            concurrentRequests = Self.number(Self.value(line, after: 27))
        case _ where isSuccess: break
        case UInt8(ascii: "d") where Self.hasPrefix(line, "date:"):
            date = Self.date(Self.value(line, after: 5))
        case UInt8(ascii: "s") where Self.hasPrefix(line, "server:"):
            origin.server = Self.text(line, after: 7)
        case UInt8(ascii: "v") where Self.hasPrefix(line, "via:"):
            origin.via = Self.text(line, after: 4)
        case UInt8(ascii: "c") where Self.hasPrefix(line, "content-type:"):
            origin.contentType = Self.text(line, after: 13)
        default: break
        }
        if collecting { collect(line) }
    }

    mutating func reset() {
        begin()
        size = 0
        if !headers.isEmpty { headers = [] }
    }

    /// Begins another head.
    private mutating func begin() {
        (delay, retryDate, date) = (nil, nil, nil)
        concurrentRequests = nil
        if !isSuccess { origin = AnswerOrigin() }
        isSuccess = true
    }

    /// A number of seconds, or a date (RFC 9110 10.2.3); the longest of several.
    private mutating func readRetryAfter(_ value: [UInt8]) {
        if let seconds = Self.seconds(value) {
            delay = max(delay ?? 0, seconds)
        } else if let date = Self.date(value) {
            retryDate = max(retryDate ?? 0, date)
        }
    }

    /// Whether a status line says 2xx: `HTTP/1.1 201 Created`.
    private static func isSuccess(_ line: Span<UInt8>) -> Bool {
        guard let space = line.indices.first(where: { line[$0] == 0x20 }), space + 1 < line.count else { return false }
        return line[space + 1] == UInt8(ascii: "2")
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

    /// A number of seconds, at most a day; a fraction counts as one more. Nil for anything else.
    static func seconds(_ value: [UInt8]) -> Int? {
        let parts = value.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.allSatisfy({ part in !part.isEmpty && part.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } }) else {
            return nil
        }
        let whole = parts[0].drop { $0 == 0x30 }
        guard whole.count <= 5 else { return longestDelay }
        let isFraction = parts.count == 2 && parts[1].contains { $0 != 0x30 }
        return min(whole.reduce(0) { $0 * 10 + Int($1 - 0x30) } + (isFraction ? 1 : 0), longestDelay)
    }

    /// A date in one of the three forms of RFC 9110 5.6.7, as seconds since 1970; nil for anything else.
    static func date(_ value: [UInt8]) -> Int? {
        // libcurl's parser of dates ignores the locale. It also accepts bare numbers, but a date has a colon.
        guard value.contains(UInt8(ascii: ":")) else { return nil }
        let date = unsafe curl_getdate(String(decoding: value, as: UTF8.self), nil)
        return date < 0 ? nil : date
    }

    /// The beginning of a value, as text.
    private static func text(_ line: Span<UInt8>, after start: Int) -> String {
        String(decoding: value(line, after: start).prefix(AnswerOrigin.longest), as: UTF8.self)
    }
}
