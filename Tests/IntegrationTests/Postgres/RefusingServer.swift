import Glibc
import TestSupport

/// Answers each client's first message with one ErrorResponse and closes. A server sends such an answer before a
/// session begins, in any language and encoding. One thread.
final class RefusingServer: Sendable {
    let port: UInt16
    private let listener: Int32

    init(severity: String, sqlstate: String, message: [UInt8]) throws {
        (listener, port) = try Loopback.listen()
        var body: [UInt8] = []
        func field(_ code: Character, _ value: [UInt8]) { body += [code.asciiValue ?? 0] + value + [0] }
        field("S", Array(severity.utf8))
        field("V", Array("FATAL".utf8))
        field("C", Array(sqlstate.utf8))
        field("M", message)
        field("R", Array("auth_failed".utf8))
        body.append(0)
        let size = UInt32(body.count + 4)
        let answer = [UInt8(ascii: "E")] + (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } + body
        Threads.detach { [listener] in Self.serve(listener, answer) }
    }

    deinit {
        // Wakes the thread, which closes it.
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private static func serve(_ listener: Int32, _ answer: [UInt8]) {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            var bytes = [UInt8](repeating: 0, count: 4096)
            if read(client, &bytes, bytes.count) > 0 { _ = write(client, answer, answer.count) }
            close(client)
        }
        close(listener)
    }
}
