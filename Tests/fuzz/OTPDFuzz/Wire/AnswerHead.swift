@testable import HTTP

/// The lines of an answer's head, each with its line break. The result is the same as from a reader of text.
func fuzzAnswerHead(_ bytes: [UInt8]) {
    var head = AnswerHead()
    var collecting = AnswerHead()
    var size = 0
    var retryAfters: [String] = []
    var concurrent: String?
    var names: [String] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let end = rest.firstIndex(of: 0x0A).map { $0 + 1 } ?? rest.endIndex
        let line = Array(rest[..<end])
        rest = rest[end...]
        head.take(line.span, collecting: false)
        collecting.take(line.span, collecting: true)
        size += line.count
        guard line.count > 2 else { continue }
        if let value = value(line, "http/"), value.count >= 0 {
            (retryAfters, concurrent, names) = ([], nil, [])
            continue
        }
        if let value = value(line, "retry-after:") { retryAfters.append(value) }
        if let value = value(line, "twilio-concurrent-requests:") { concurrent = value }
        if line.contains(UInt8(ascii: ":")) {
            names.append(Array(line.prefix { $0 != UInt8(ascii: ":") }).text.lowercased())
        }
    }
    require(head.size == size && collecting.size == size, "every byte is counted")
    require(head.headers.isEmpty && collecting.headers.map(\.name) == names, "headers are collected where wanted")
    require(
        head.retryAfter == collecting.retryAfter && head.concurrentRequests == collecting.concurrentRequests,
        "collecting changes nothing")
    if let seconds = head.retryAfter { require((0...86_400).contains(seconds), "the wait is bounded") }
    require(head.concurrentRequests == concurrent.flatMap(number), "the last number counts")
    if !retryAfters.contains(where: { $0.utf8.contains(UInt8(ascii: ":")) || $0.utf8.contains(UInt8(ascii: ".")) }) {
        let seconds = retryAfters.filter { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        require(
            head.retryAfter == seconds.map { min(Int($0) ?? .max, 86_400) }.max(),
            "the longest number of seconds counts")
    }
    for text in [head.origin.server, head.origin.via, head.origin.contentType] {
        require((text?.unicodeScalars.count ?? 0) <= 200, "what is kept of a header is bounded")
    }
}

/// The value after `name` (in lower case), without white space around it. Nil if the line does not begin with the name.
private func value(_ line: [UInt8], _ name: String) -> String? {
    let start = line.prefix(name.utf8.count).map { (0x41...0x5A).contains($0) ? $0 + 32 : $0 }
    guard start.elementsEqual(name.utf8) else { return nil }
    var rest = line.dropFirst(name.utf8.count)
    while let first = rest.first, first <= 0x20 { rest.removeFirst() }
    while let last = rest.last, last <= 0x20 { rest.removeLast() }
    return Array(rest).text
}

private func number(_ text: String) -> Int? {
    (1...9).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
}
