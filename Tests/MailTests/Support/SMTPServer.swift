import Glibc
import Synchronization
import TestSupport

/// A mail server on raw sockets. Each connection is served by a closure on its own thread, which controls every byte.
final class SMTPServer: @unchecked Sendable {
    let port: Int
    private let listener: Int32
    private let clients = Mutex<[SMTPPeer]>([])
    private let threads = Mutex<[pthread_t]>([])
    private let handle: @Sendable (SMTPPeer) -> Void

    init(_ handle: @escaping @Sendable (SMTPPeer) -> Void) throws {
        self.handle = handle
        let listening = try Loopback.listen()
        (listener, port) = (listening.descriptor, Int(listening.port))
        threads.withLock { $0.append(Threads.start { [self] in accepting() }) }
    }

    var url: String { "smtp://127.0.0.1:\(port)" }

    /// Connections accepted so far.
    var accepted: [SMTPPeer] { clients.withLock { $0 } }

    /// The contents that ended with a dot so far, in no order.
    var mails: [String] { accepted.flatMap { $0.mails.withLock { $0 } } }

    /// Waits until every connection that was accepted has ended.
    func allPeersHaveGone() async throws {
        try await eventually("every connection has ended") { accepted.allSatisfy(\.isClosed) ? true : nil }
    }

    /// Ends all connections and threads.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        let acceptor = threads.withLock { $0.removeFirst() }
        pthread_join(acceptor, nil)
        for peer in accepted { peer.wake() }
        for thread in threads.withLock({ $0 }) { pthread_join(thread, nil) }
        for peer in accepted { peer.close() }
        Glibc.close(listener)
    }

    private func accepting() {
        while true {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            let peer = clients.withLock { peers in
                let peer = SMTPPeer(descriptor, number: peers.count)
                peers.append(peer)
                return peer
            }
            let thread = Threads.start { [self] in
                handle(peer)
                peer.close()
            }
            threads.withLock { $0.append(thread) }
        }
    }
}

/// The server's view of one connection.
final class SMTPPeer: @unchecked Sendable {
    /// What the server does at a step.
    enum Reaction: Sendable, Equatable {
        /// Sends the lines, which end with CR LF, and goes on.
        case reply(String)
        /// Sends the text as it is, and closes.
        case close(String = "")
        /// Sends the text as it is, and resets the connection.
        case reset(String = "")
        /// Says nothing until the client has gone.
        case silence
    }

    /// How many connections came before it.
    let number: Int
    private let descriptor: Int32
    private let isOpen = Mutex(true)
    private var pending: [UInt8] = []
    /// The commands received, without their line breaks, and none of a content's lines.
    let commands = Mutex<[String]>([])
    /// The lines of contents received, the dot included.
    let lines = Mutex<[String]>([])
    /// The contents that ended with a dot, as they were received.
    let mails = Mutex<[String]>([])

    init(_ descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    /// Serves a client like a usual server, except at the steps in `reactions`: `GREETING`, the verbs of commands,
    /// `BODY` at the first line of a content, and `DOT`. Later steps of the same name do the same.
    func serve(_ reactions: [String: Reaction] = [:], extensions: [String] = ["PIPELINING", "SMTPUTF8"]) {
        serve(extensions: extensions) { step, _ in reactions[step] }
    }

    /// The same with a closure, which gets the step and its number among those of the same name.
    func serve(extensions: [String] = ["PIPELINING", "SMTPUTF8"], _ react: (String, Int) -> Reaction?) {
        var counts: [String: Int] = [:]
        /// The last step's reaction, unless it is the usual one.
        var special: Reaction?
        func act(_ step: String, _ usual: String) -> Bool {
            let count = counts[step, default: 0]
            counts[step] = count + 1
            special = react(step, count)
            return perform(special ?? .reply(usual))
        }
        let offers = (["test"] + extensions).enumerated()
            .map { "250\($0 == extensions.count ? " " : "-")\($1)" }.joined(separator: "\r\n")
        guard act("GREETING", "220 test ESMTP") else { return }
        while let line = readLine() {
            commands.withLock { $0.append(line) }
            let verb = line.prefix { $0 != " " }.uppercased()
            switch verb {
            case "EHLO": if !act(verb, offers) { return }
            case "AUTH":
                // With PLAIN, the line has everything. With LOGIN, user name and password come one after the other.
                if line.uppercased() == "AUTH LOGIN" {
                    write("334 VXNlcm5hbWU6\r\n")
                    _ = readLine()
                    write("334 UGFzc3dvcmQ6\r\n")
                    _ = readLine()
                } else if line.hasPrefix("AUTH LOGIN ") {
                    write("334 UGFzc3dvcmQ6\r\n")
                    _ = readLine()
                }
                if !act(verb, "235 2.7.0 ok") { return }
            case "DATA":
                guard act(verb, "354 go on") else { return }
                if case .reply(let lines) = special, !lines.isEmpty, !lines.hasPrefix("354") { continue }
                guard readContent(act) else { return }
            case "QUIT":
                _ = act(verb, "221 bye")
                return
            default: if !act(verb, "250 2.0.0 ok") { return }
            }
        }
    }

    private func readContent(_ act: (String, String) -> Bool) -> Bool {
        var content = ""
        var isFirst = true
        while let line = readLine() {
            lines.withLock { $0.append(line) }
            if isFirst, !act("BODY", "") { return false }
            isFirst = false
            if line == "." {
                mails.withLock { $0.append(content) }
                return act("DOT", "250 2.0.0 queued as 4F2A1")
            }
            content += line + "\r\n"
        }
        return false
    }

    /// Returns whether the dialogue goes on.
    private func perform(_ reaction: Reaction) -> Bool {
        switch reaction {
        case .reply(let lines):
            if !lines.isEmpty { write(lines + "\r\n") }
            return true
        case .close(let text):
            write(text, flags: Int(MSG_MORE))
            return false
        case .reset(let text):
            write(text)
            reset()
            return false
        case .silence:
            while readLine() != nil {}
            return false
        }
    }

    /// The next line without its CR LF; nil if the client has gone.
    func readLine() -> String? {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = pending[..<end]
                pending.removeFirst(end + 1)
                return String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
            }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            pending += buffer[..<count]
        }
    }

    /// With `MSG_MORE` the bytes wait for the end of the connection, so that both arrive at once.
    func write(_ text: String, flags: Int = 0) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL) | Int32(flags))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// Closes with a reset instead of an end.
    func reset() {
        var discard = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &discard, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func wake() { isOpen.withLock { if $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } } }

    func close() {
        isOpen.withLock { isOpen in
            if isOpen { Glibc.close(descriptor) }
            isOpen = false
        }
    }

    var isClosed: Bool { isOpen.withLock { !$0 } }

    /// The verbs of the commands received.
    var verbs: [String] { commands.withLock { $0 }.map { $0.prefix { $0 != " " }.uppercased() } }
}
