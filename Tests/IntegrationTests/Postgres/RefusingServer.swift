import Glibc

/// Answers each client's first message with one ErrorResponse, as a server does in whatever language and encoding it has
/// before a session begins; then hangs up. One thread.
final class RefusingServer: Sendable {
    let port: UInt16
    private let listener: Int32

    init?(severity: String, sqlstate: String, message: [UInt8]) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = HalfOpenProxy.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 8) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { return nil }
        port = UInt16(bigEndian: address.sin_port)
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
        let work = Work(listener: listener, answer: answer)
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            {
                Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(work).toOpaque())
        pthread_detach(thread)
    }

    deinit {
        // Wakes the thread, which closes it.
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private final class Work: Sendable {
        let listener: Int32
        let answer: [UInt8]

        init(listener: Int32, answer: [UInt8]) { (self.listener, self.answer) = (listener, answer) }

        func run() {
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
}
