import Glibc

/// A TCP connection to loopback that never blocks a thread. It polls every few milliseconds, for two minutes at most.
public final class Socket {
    private var descriptor: Int32
    /// Bytes that were read after the last message.
    private var pending: [UInt8] = []

    /// Takes over a connection.
    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Connects. `host` is the last byte of this end's address, 127.0.0.x.
    public convenience init(port: some BinaryInteger, from host: UInt8 = 1) throws {
        self.init(descriptor: Loopback.socket())
        guard Loopback.connect(descriptor, UInt16(port), from: host) else {
            throw Trouble("cannot connect to \(port): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// Closes it in both directions, with a reset if `reset()` was called. Call nothing else afterwards.
    public func end() {
        close(descriptor)
        descriptor = -1
    }

    /// Closes the sending direction, and still receives.
    public func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes its end a reset.
    public func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    }

    /// Sends everything, however long the other side takes. False once the connection has ended.
    @discardableResult
    public func send(_ bytes: some Sequence<UInt8>) async throws -> Bool {
        var rest = Array(bytes)[...]
        return try await eventually("sending") {
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                }
                if count < 0 { return errno == EAGAIN ? nil : false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }

    /// The same, for text.
    @discardableResult
    public func send(_ text: some StringProtocol) async throws -> Bool { try await send(text.utf8) }

    /// The bytes that have arrived: nil for none yet, empty at the end. A reset throws.
    public func receive() throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count < 0 {
            guard errno == EAGAIN else { throw Trouble("receiving: \(String(cString: strerror(errno)))") }
            return nil
        }
        return Array(buffer.prefix(count))
    }

    /// Everything up to the end of the stream. Throws if it ends with a reset.
    public func receiveBytesToEnd() async throws -> [UInt8] {
        var all: [UInt8] = []
        return try await eventually("the end of the stream") {
            while let more = try receive() {
                if more.isEmpty { return all }
                all += more
            }
            return nil
        }
    }

    /// The same, as text.
    public func receiveToEnd() async throws -> String { String(decoding: try await receiveBytesToEnd(), as: UTF8.self) }

    /// Receives until `count` heads of answers have arrived.
    public func receive(answers count: Int) async throws -> String {
        var all: [UInt8] = []
        return try await eventually("\(count) answers") {
            while let more = try receive() {
                if more.isEmpty { throw Trouble("closed after \(all.count) bytes") }
                all += more
                let text = String(decoding: all, as: UTF8.self)
                if text.ranges(of: "\r\n\r\n").count >= count { return text }
            }
            return nil
        }
    }

    /// The next message with a Content-Length.
    public func receiveMessage() async throws -> HTTPMessage {
        try await eventually("a message") {
            while true {
                if let message = HTTPMessage(pending) {
                    pending.removeFirst(message.byteCount)
                    return message
                }
                guard let more = try receive() else { return nil }
                if more.isEmpty { throw Trouble("closed after \(pending.count) bytes") }
                pending += more
            }
        }
    }
}
