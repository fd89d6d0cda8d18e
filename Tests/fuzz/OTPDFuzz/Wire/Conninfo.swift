@testable import Postgres

/// A connection string. libpq reads it, or it is refused. Each `*` in it is a password, and no message may show it.
func fuzzConninfo(_ bytes: [UInt8]) {
    let canary = "q9Zx7Kw4Vb"
    let text = bytes.replacing("*", with: Array(canary.utf8)).text
    let settings = ConnectionSettings(text, sessionOptions: [(name: "otp.secret", value: canary)])
    var shown = ["\(settings)", String(reflecting: settings)]
    var dumped = ""
    dump(settings, to: &dumped)
    shown.append(dumped)
    do throws(PostgresError) {
        let conninfo = try Conninfo(text)
        // Outside of a password, for example in the host, it may appear.
        let harmless = ["host", "hostaddr", "port", "dbname", "user", "sslmode", "target_session_attrs"]
        if harmless.contains(where: { conninfo.values[$0]?.contains(canary) == true }) { shown = [] }
    } catch {
        shown.append("\(error)")
    }
    for text in shown { require(!text.contains(canary), "no password shows") }

    // A session's options come out of `options` unchanged (pg_split_opts in postinit.c).
    let value = bytes.filter { $0 != 0 }.text
    guard let options = sessionOptions(nil, adding: [(name: "a", value: value)]) else { return }
    let split = splitOptions(Array(options.utf8))
    require(split == [Array("-c".utf8), Array("a=\(value)".utf8)], "a value is one word to the server")
}

/// As the server splits: white space of the C locale separates, a backslash protects the next byte.
private func splitOptions(_ bytes: [UInt8]) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var index = 0
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    while index < bytes.count {
        while index < bytes.count, isSpace(bytes[index]) { index += 1 }
        guard index < bytes.count else { break }
        var word: [UInt8] = []
        while index < bytes.count, !isSpace(bytes[index]) {
            if bytes[index] == UInt8(ascii: "\\") {
                index += 1
                guard index < bytes.count else { break }
            }
            word.append(bytes[index])
            index += 1
        }
        words.append(word)
    }
    return words
}
