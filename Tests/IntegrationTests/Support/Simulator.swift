import FoundationEssentials
import Glibc
import TestSupport

/// `twilio-simulator` as a process, and its control API.
struct Simulator: Sendable {
    let program: Program
    let port: UInt16
    /// The URL of its mail server, if it was started with one.
    let mailURL: String?
    var url: String { "http://127.0.0.1:\(port)" }

    static let accountSID = "AC00000000000000000000000000000000"
    static let authToken = "simulator-auth-token"

    /// Starts one on `port` or a free one. Messages are final after 0.1 s. `--smtp-port 0` adds a mail server.
    static func start(port: UInt16 = 0, delays: String = "20,50,100", arguments: [String] = []) async throws
        -> Simulator
    {
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        let program = try scope.start(
            BuildFolder.executable("twilio-simulator"),
            ["--port", "\(port)", "--delays", delays] + arguments, environment: Environment.base)
        try await program.says("listening on http://127.0.0.1:")
        guard let text = program.output.split(separator: "\n").first?.split(separator: ":").last,
            let port = UInt16(text)
        else { throw Trouble("the simulator printed: \(program.output)") }
        guard arguments.contains("--smtp-port") else { return Simulator(program: program, port: port, mailURL: nil) }
        try await program.says("listening on smtp://127.0.0.1:")
        let line = program.output.split(separator: "\n").first { $0.contains("smtp://") }
        return Simulator(program: program, port: port, mailURL: line?.split(separator: " ").last.map(String.init))
    }

    struct Message: Decodable, Sendable, Equatable {
        let sid: String
        let to: String
        let from: String
        let body: String
        let channel: String
        let status: String
        /// Of an e-mail.
        let subject: String?
        let messageId: String?
        let html: String?
        /// `expected`, `confirmed` or `unconfirmed`; nil for a message that was created without `ProvideFeedback`.
        let feedback: String?
        /// What looks like the code of a call or of an e-mail.
        private let found: String?
        /// Microseconds since the Unix epoch.
        let receivedAt: Int

        private enum CodingKeys: String, CodingKey {
            case sid, to, from, body, channel, status, subject, messageId, html, feedback, receivedAt
            case found = "code"
        }

        /// The code in one of otpd's texts: its longest run of digits. A call says its digits one by one.
        var code: String {
            guard channel == "sms" || channel == "whatsapp" else { return found ?? "" }
            return body.split { !$0.isASCII || !$0.isNumber }.map(String.init).max { $0.count < $1.count } ?? ""
        }
    }

    /// The messages created, newest first.
    func inbox(to: String? = nil) throws -> [Message] {
        struct Inbox: Decodable { let messages: [Message] }
        let query = to.map { "&to=%2B\($0.dropFirst())" } ?? ""
        return try Self.decoder.decode(Inbox.self, from: get("/_sim/inbox?limit=100000\(query)")).messages
    }

    struct Stats: Decodable, Sendable {
        let creates: Int
        let created: Int
        let refused: Int
        let unauthorized: Int
        let concurrent: Int
        let maxConcurrent: Int
        let kept: Int
        let numbers: Int
        let numbersRepeated: Int
        let callbacksSent: Int
        let callbacksFailed: Int
        let feedbacks: Int
        let lookups: Int
        let faults: [String: Int]
    }

    func stats() throws -> Stats {
        try Self.decoder.decode(Stats.self, from: get("/_sim/stats?limit=1"))
    }

    private static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }

    /// Changes the simulator's faults.
    func faults(_ json: String) throws {
        let answer = try HTTP1.exchange(port: port, "POST", "/_sim/faults", body: json)
        guard answer.status == 200 else { throw Trouble("faults: \(String(decoding: answer.body, as: UTF8.self))") }
    }

    private func get(_ path: String) throws -> Data {
        let answer = try HTTP1.exchange(port: port, "GET", path)
        guard answer.status == 200 else { throw Trouble("\(path): \(answer.status)") }
        return Data(answer.body)
    }
}

/// One request over a plain socket to loopback, on its own connection.
enum HTTP1 {
    static func exchange(
        port: UInt16, _ method: String, _ path: String, headers: [String] = ["Content-Type: application/json"],
        body: String = ""
    ) throws -> (status: Int, body: [UInt8]) {
        let descriptor = Loopback.socket()
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard Loopback.connect(descriptor, port) else { throw Trouble("nobody listens on \(port)") }
        let request =
            (["\(method) \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close"] + headers
            + ["Content-Length: \(body.utf8.count)", "", body]).joined(separator: "\r\n")
        let bytes = Array(request.utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Trouble("nobody takes the request")
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            if let message = HTTPMessage(answer), let status = message.status { return (status, message.body) }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw Trouble("no answer, or one that is not HTTP") }
            answer += buffer[..<count]
        }
    }
}
