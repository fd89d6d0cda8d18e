internal import FoundationEssentials
internal import Glibc

/// The simulator's control API (`/_sim/…`), over one blocking connection to loopback.
final class SimulatorClient {
    /// `http://127.0.0.1:PORT`
    let url: String
    private let port: UInt16
    private var descriptor: Int32 = -1

    init(url: String) throws {
        let parts = url.split(separator: ":")
        guard parts.count == 3, parts[0] == "http", parts[1] == "//127.0.0.1", let port = UInt16(parts[2]) else {
            throw BenchError("TWILIO_API_BASE_URL must be http://127.0.0.1:PORT, the address of a twilio-simulator")
        }
        self.url = url
        self.port = port
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Counts since the last reset.
    struct Statistics: Decodable {
        var requests: Int
        var creates: Int
        var created: Int
        var numbers: Int
        var numbersRepeated: Int
        var maxConcurrent: Int
    }

    struct Message: Decodable {
        var sid: String
        var to: String
        /// Microseconds since the Unix epoch.
        var receivedAt: Int64
    }

    private struct Inbox: Decodable { var messages: [Message] }

    func statistics() throws -> Statistics { try decode(Statistics.self, try request("GET", "/_sim/stats?limit=0")) }

    /// The newest `limit` messages.
    func inbox(limit: Int) throws -> [Message] {
        var all: [Message] = []
        while all.count < limit {
            // As many as the simulator lists at once.
            let count = min(limit - all.count, 100_000)
            let before = all.last.map { "&before=\($0.sid)" } ?? ""
            let page = try decode(Inbox.self, try request("GET", "/_sim/inbox?limit=\(count)\(before)")).messages
            all += page
            if page.count < count { break }
        }
        return all
    }

    /// Deletes all messages and counts. From now on every answer takes `latency` milliseconds.
    func reset(latency: Int = 0) throws {
        _ = try request("POST", "/_sim/reset")
        if latency > 0 { try faults(#"{"latency_ms": \#(latency)}"#) }
    }

    /// Changes the simulator's faults, as its control API takes them.
    func faults(_ json: String) throws { _ = try request("POST", "/_sim/faults", body: json) }

    /// The microseconds of one request and its answer.
    func roundTrip() throws -> Int64 {
        let start = WallClock.now()
        _ = try request("GET", "/healthz")
        return WallClock.now() - start
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(bytes))
    }

    private func request(_ method: String, _ path: String, body: String = "") throws -> [UInt8] {
        do {
            return try exchange(method, path, body)
        } catch {
            // The kept connection may have been closed meanwhile. These requests may be repeated.
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
            return try exchange(method, path, body)
        }
    }

    private func exchange(_ method: String, _ path: String, _ body: String) throws -> [UInt8] {
        if descriptor < 0 { try connect() }
        let head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        var rest = Array(head.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw failure("writing") }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        var end: Int?
        while true {
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { throw failure("reading") }
            answer += chunk[..<count]
            if end == nil { end = try Self.end(of: answer) }
            if let end, answer.count >= end { break }
        }
        guard let body = Self.bodyStart(answer) else {
            throw BenchError("the simulator's answer has an incomplete head")
        }
        guard answer.starts(with: Array("HTTP/1.1 200".utf8)) else {
            throw BenchError("the simulator refused \(path): \(String(decoding: answer[body...], as: UTF8.self))")
        }
        return Array(answer[body...])
    }

    /// The length of the whole answer, once its head is there.
    private static func end(of answer: [UInt8]) throws -> Int? {
        guard let body = bodyStart(answer) else { return nil }
        for line in String(decoding: answer[..<body], as: UTF8.self).split(separator: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "content-length" else { continue }
            guard let length = Int(parts[1].filter { $0 != " " }) else { break }
            return body + length
        }
        throw BenchError("the simulator's answer has no Content-Length")
    }

    private static func bodyStart(_ answer: [UInt8]) -> Int? {
        let mark = Array("\r\n\r\n".utf8)
        guard answer.count >= 4 else { return nil }
        for start in 0...min(answer.count - 4, 4096) where answer[start..<start + 4].elementsEqual(mark) {
            return start + 4
        }
        return nil
    }

    private func connect() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("opening a socket") }
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw failure("connecting") }
    }

    private func failure(_ what: String) -> BenchError {
        BenchError("the simulator at \(url) cannot be asked: \(what) failed (\(String(cString: strerror(errno))))")
    }
}
