internal import CCurl
internal import EventLoop
internal import Glibc
internal import HTTP
internal import OTP

/// What a connection tells its owner, on the loop's thread.
protocol MailConnectionOwner: AnyObject {
    /// A mail has ended, or must be sent on a new connection if there is no result. The connection is idle or closed.
    func ended(_ mail: OutgoingMail, _ result: MailCompletion.TransferResult?, on connection: MailConnection)
    /// The server has ended an idle connection, or one that said QUIT.
    func isLost(_ connection: MailConnection)
    /// The connection was idle for as long as allowed.
    func hasIdled(_ connection: MailConnection)
    /// libcurl has opened a socket (1) or closed one (-1).
    func countSocket(_ change: Int)
}

/// One connection to a mail server, which carries one mail after another.
///
/// libcurl makes the connection: name lookup, TCP, TLS or STARTTLS, EHLO and login (`CURLOPT_CONNECT_ONLY`). The mails
/// themselves are sent here, with `SMTPDialogue`. libcurl's own upload waits for the reply to the content inside
/// `curl_multi_socket_action`, which would stop the loop for as long as the server takes (libcurl-multi(3), "BLOCKING").
/// It would also not say whether the dot has left.
///
/// Each connection has a multi handle of its own, because another transfer in the same one may close a connection that
/// libcurl believes to be idle. Owned by one `MailPool` and touched on its loop's thread alone. libcurl holds
/// unretained pointers to it until `close()`, which its owner always calls.
@safe final class MailConnection: ReadinessHandler {
    enum Phase {
        /// → busy, closed.
        case connecting
        /// → idle, closed.
        case busy
        /// → busy, quitting, closed.
        case idle
        /// QUIT has been sent. → closed.
        case quitting
        case closed
    }

    /// The bytes that are being sent.
    private enum Outgoing {
        case nothing
        case command([UInt8])
        case content
        case dot
    }

    let server: MailServer
    private(set) var phase = Phase.connecting
    private unowned let owner: any MailConnectionOwner
    private let loop: EventLoop
    private let configuration: MailConfiguration
    private let multi: UnsafeMutableRawPointer
    private let easy: UnsafeMutableRawPointer
    private let words: UnsafeMutablePointer<CChar>
    private var descriptor: Int32 = -1
    private var openError: Int32 = 0

    /// The mail that it carries, or that waits for it to be made.
    private var mail: OutgoingMail?
    private var dialogue = SMTPDialogue(isReused: false, needsReset: false)
    private var outgoing = Outgoing.nothing
    private var sent = 0
    private var reader = SMTPReplyReader()
    private var isReused = false
    private var needsReset = false

    /// The last reply while libcurl makes the connection.
    private var lastReply: SMTPReply?
    private var isLoggedIn = false
    private var offersSMTPUTF8 = false

    private var curlDue = Instant.distantFuture
    private var idleSince = Instant(nanoseconds: 0)
    private var timer: TimerID?
    private var timerDue = Instant.distantFuture

    /// Nil if there is no memory, or if libcurl lacks an option.
    init?(_ server: MailServer, _ configuration: MailConfiguration, on loop: EventLoop, owner: any MailConnectionOwner)
    {
        guard let multi = unsafe curl_multi_init() else { return nil }
        guard let easy = unsafe curl_easy_init() else {
            unsafe curl_multi_cleanup(multi)
            return nil
        }
        self.server = server
        self.configuration = configuration
        self.loop = loop
        self.owner = owner
        unsafe (self.multi, self.easy) = (multi, easy)
        unsafe words = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        guard setOptions(), setLogin(), setCallbacks() else {
            free()
            return nil
        }
    }

    deinit { assert(phase == .closed, "a mail connection was released before it was closed") }

    // MARK: The owner's calls

    /// Begins to make the connection, for `mail`.
    func connect(for mail: OutgoingMail) {
        self.mail = mail
        if unsafe curl_multi_add_handle(multi, easy) != CURLM_OK { curlDue = Instant(nanoseconds: 0) }
        setTimer()
    }

    /// Sends `mail` on this idle connection.
    func begin(_ mail: OutgoingMail) {
        precondition(phase == .idle)
        self.mail = mail
        start()
    }

    /// Ends the connection with QUIT, and waits a moment for the server to end it too.
    func quit() {
        guard phase == .idle else { return close() }
        phase = .quitting
        idleSince = .now()
        let command = Array("QUIT\r\n".utf8)
        var count = 0
        unsafe _ = curl_easy_send(easy, command, command.count, &count)
        setTimer()
    }

    /// Gives up the mail that it carries, and closes the connection. Does nothing to an idle one.
    func cancel() { end(.canceled, .canceled) }

    /// Closes the connection at once, and discards unsent bytes. Never called inside a callback of libcurl.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        if let timer { loop.cancel(timer) }
        timer = nil
        if descriptor >= 0 { loop.unwatch(descriptor) }
        // Closes the connection, because it was made with CURLOPT_CONNECT_ONLY.
        unsafe _ = curl_multi_remove_handle(multi, easy)
        free()
    }

    private func free() {
        phase = .closed
        unsafe curl_easy_cleanup(easy)
        unsafe _ = curl_multi_cleanup(multi)
        unsafe words.deallocate()
    }

    // MARK: Events

    func ready(_ descriptor: Int32, _ readiness: Readiness) {
        switch phase {
        case .connecting:
            var events: Int32 = 0
            if readiness.contains(.read) { events |= CURL_CSELECT_IN }
            if readiness.contains(.write) { events |= CURL_CSELECT_OUT }
            if readiness.contains(.failed) { events |= CURL_CSELECT_IN | CURL_CSELECT_OUT }
            act(descriptor, events)
        case .busy:
            receive()
            if phase == .busy { flush() }
        case .idle, .quitting:
            // The server closed it, or sent a 421 before it does.
            owner.isLost(self)
        case .closed: break
        }
    }

    private func timerFired() {
        timer = nil
        timerDue = .distantFuture
        let now = Instant.now()
        switch phase {
        case .connecting:
            if let mail, mail.due <= now {
                end(mail.overdueReason(at: now, isConnecting: true), .timedOut)
            } else if curlDue <= now {
                curlDue = .distantFuture
                act(CURL_SOCKET_TIMEOUT, 0)
            }
        case .busy:
            // The process may have been stopped, and the reply may be here.
            receive()
            if phase == .busy, let mail, due <= now { end(mail.overdueReason(at: now), .timedOut) }
        case .idle:
            if due <= now { owner.hasIdled(self) }
        case .quitting:
            if due <= now { owner.isLost(self) }
        case .closed: break
        }
        setTimer()
    }

    private var due: Instant {
        switch phase {
        case .connecting: min(curlDue, mail?.due ?? .distantFuture)
        case .busy: (dialogue.mayBeAccepted ? mail?.deadline : mail?.due) ?? .distantFuture
        case .idle: idleSince + configuration.idleLimit
        case .quitting: idleSince + .seconds(2)
        case .closed: .distantFuture
        }
    }

    private func setTimer() {
        guard phase != .closed else { return }
        let due = due
        guard due != timerDue || timer == nil else { return }
        if let timer { loop.cancel(timer) }
        timer = nil
        timerDue = due
        guard due < .distantFuture else { return }
        timer = loop.schedule(at: due) { [self] in timerFired() }
    }

    // MARK: Making the connection

    private func act(_ descriptor: Int32, _ events: Int32) {
        var running: Int32 = 0
        // This fails only for an invalid handle. The connection's own errors come as a message.
        unsafe _ = curl_multi_socket_action(multi, descriptor, events, &running)
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            unsafe isMade(message.pointee.data.result)
            return
        }
        setTimer()
    }

    private func isMade(_ code: CURLcode) {
        guard code == CURLE_OK else {
            let failure = unsafe ConnectFailure(
                code: code, reply: lastReply, systemError: Int32(easy_get_long(easy, CURLINFO_OS_ERRNO)),
                descriptorError: CurlSocket.descriptorError(openError: openError), message: String(cString: words))
            return end(failure.result, .close)
        }
        descriptor = unsafe easy_get_socket(easy)
        // Where the server offers no login, libcurl goes on without one.
        guard isLoggedIn || server.login == nil else { return end(.notSent(.loginNotOffered), .close) }
        loop.watch(descriptor, for: .read, self)
        start()
    }

    // MARK: Sending a mail

    private func start() {
        guard let mail else { return }
        phase = .busy
        (reader, outgoing, sent) = (SMTPReplyReader(), .nothing, 0)
        dialogue = SMTPDialogue(isReused: isReused, needsReset: needsReset)
        if case .check = mail.owner { return end(.accepted(serverText: ""), needsReset ? .reset : .keep) }
        guard offersSMTPUTF8 || !mail.isInternational else {
            return end(.notSent(.internationalAddress), needsReset ? .reset : .keep)
        }
        perform(dialogue.first)
        setTimer()
    }

    private func perform(_ action: SMTPDialogue.Action) {
        guard let mail else { return }
        switch action {
        case .sendReset: send(.command(Array("RSET\r\n".utf8)))
        case .sendSender: send(.command(mail.commands.sender))
        case .sendRecipient: send(.command(mail.commands.recipient))
        case .sendData: send(.command(Array("DATA\r\n".utf8)))
        case .sendContent: send(.content)
        case .finish(let finish, let connection): self.finish(finish, connection)
        }
    }

    private func send(_ bytes: Outgoing) {
        (outgoing, sent) = (bytes, 0)
        flush()
    }

    /// Sends as much as the connection takes. A later call goes on with the same bytes at the same address, as OpenSSL
    /// wants it.
    private func flush() {
        while phase == .busy, let mail {
            let (code, count, total): (CURLcode, Int, Int)
            switch outgoing {
            case .nothing: return
            case .command(let command): (code, count, total) = write(command)
            // Not copied: the mail wipes its content when it ends.
            case .content: (code, count, total) = write(mail.content)
            case .dot: (code, count, total) = write(DotStuffing.end)
            }
            guard code == CURLE_OK else {
                guard code == CURLE_AGAIN else { return lost() }
                return loop.watch(descriptor, for: [.read, .write], self)
            }
            sent += count
            guard sent == total else { continue }
            (sent, outgoing) = (0, .nothing)
            loop.watch(descriptor, for: .read, self)
            if dialogue.step == .content { sendDot() }
        }
    }

    /// Sends the rest of `bytes`, as far as the connection takes it. Returns libcurl's result, the number of bytes that
    /// left, and the number of all.
    private func write(_ bytes: borrowing [UInt8]) -> (CURLcode, Int, Int) {
        var count = 0
        let code = unsafe bytes.withUnsafeBytes {
            unsafe curl_easy_send(easy, $0.baseAddress! + sent, $0.count - sent, &count)
        }
        return (code, count, bytes.count)
    }

    /// The last check of the lease is where the dot leaves. The server must have been silent until then.
    private func sendDot() {
        receive()
        guard phase == .busy, dialogue.step == .content, let mail else { return }
        let now = Instant.now()
        guard now <= mail.leaseEnd else { return end(.leaseEnded, .timedOut) }
        guard now <= mail.deadline else { return end(.timedOut, .timedOut) }
        dialogue.dotLeaves()
        outgoing = .dot
    }

    /// Reads everything that has arrived, and acts on the reply. A server sends one reply a command, so more bytes than
    /// that are none that could be trusted.
    private func receive() {
        var action: SMTPDialogue.Action?
        var isExcess = false
        var hasEnded = false
        var buffer = [UInt8](repeating: 0, count: 1024)
        reading: while true {
            var count = 0
            let code = unsafe curl_easy_recv(easy, &buffer, buffer.count, &count)
            if code == CURLE_AGAIN { break }
            guard code == CURLE_OK, count > 0 else {
                hasEnded = true
                break
            }
            for byte in buffer[..<count] {
                guard action == nil else {
                    isExcess = true
                    break reading
                }
                do {
                    guard let reply = try reader.take(byte) else { continue }
                    action = isEarly && reply.code < 400 ? .finish(.garbled, .close) : dialogue.take(reply)
                } catch {
                    action = .finish(.garbled, .close)
                }
            }
        }
        switch action {
        case .finish(let finish, let connection):
            self.finish(finish, isExcess || hasEnded ? .close : connection)
        case let action?:
            if isExcess { return finish(.garbled, .close) }
            if hasEnded { return lost() }
            perform(action)
            setTimer()
        case nil:
            if hasEnded { lost() }
        }
    }

    /// Whether a reply now would be one to something that has not wholly been sent.
    private var isEarly: Bool { if case .nothing = outgoing { false } else { true } }

    // MARK: Endings

    private func finish(_ finish: SMTPDialogue.End, _ connection: SMTPDialogue.Connection) {
        switch finish {
        case .accepted(let reply): end(.accepted(serverText: ServerText.read(reply)), connection)
        case .refused(let reply, let stage): end(.refused(MailRefusal(reply, stage)), connection)
        case .garbled: end(.garbled, .garbled)
        case .stale: end(nil, .close)
        }
    }

    private func lost() {
        if dialogue.isStaleIfLost { return end(nil, .close) }
        end(.connectionLost, .connectionLost)
    }

    /// Ends the mail without a reply, and closes the connection.
    private func end(_ notSent: MailNotSentReason, _ unknown: MailUnknownReason) {
        end(phase == .busy && dialogue.mayBeAccepted ? .unknown(unknown) : .notSent(notSent), .close)
    }

    /// Ends the mail. Without a result, it is sent again on a new connection.
    private func end(_ result: MailCompletion.TransferResult?, _ connection: SMTPDialogue.Connection) {
        guard let mail else { return }
        self.mail = nil
        isReused = true
        switch connection {
        case .keep, .reset:
            needsReset = connection == .reset
            idleSince = .now()
            phase = .idle
            setTimer()
        case .close: close()
        }
        owner.ended(mail, result, on: self)
    }
}

// MARK: libcurl's options and callbacks

extension MailConnection {
    /// Sets the options that do not depend on the login. Features that libcurl leaves off by default (netrc, verbose
    /// logs) are not named here.
    fileprivate func setOptions() -> Bool {
        let usesTLS = server.security == .plain ? use_ssl_none : use_ssl_all
        var isAccepted = unsafe accepted(
            easy_set_string(easy, CURLOPT_URL, "\(server.origin)/\(configuration.clientName ?? "")"),
            easy_set_long(easy, CURLOPT_CONNECT_ONLY, 1),
            easy_set_long(easy, CURLOPT_USE_SSL, usesTLS),
            easy_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
            easy_set_long(easy, CURLOPT_NOSIGNAL, 1),
            easy_set_string(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps"),
            easy_set_string(easy, CURLOPT_PROXY, ""),
            easy_set_string(easy, CURLOPT_NOPROXY, "*"),
            easy_set_long(
                easy, CURLOPT_CONNECTTIMEOUT_MS, Int(configuration.connectTimeout.millisecondsRoundedUp)),
            // Without this option, ending a name lookup waits for the resolver's thread.
            easy_set_long(easy, CURLOPT_QUICK_EXIT, 1))
        if let file = configuration.caFile {
            // Without this, libcurl would trust the system's directory as well.
            isAccepted =
                unsafe isAccepted
                && accepted(easy_set_string(easy, CURLOPT_CAINFO, file), easy_set_string(easy, CURLOPT_CAPATH, nil))
        }
        return isAccepted
    }

    /// libcurl copies user name and password, and frees its copies with the handle.
    fileprivate func setLogin() -> Bool {
        guard let login = server.login else { return true }
        func set(_ option: CURLoption, _ secret: Secret) -> CURLcode {
            secret.withBytes { bytes in
                var text: [UInt8] = []
                text.reserveCapacity(bytes.count + 1)
                for index in bytes.indices { text.append(bytes[index]) }
                text.append(0)
                defer { wipe(&text) }
                return unsafe text.withUnsafeBytes {
                    unsafe easy_set_string(easy, option, $0.baseAddress!.assumingMemoryBound(to: CChar.self))
                }
            }
        }
        // Without this option, libcurl prefers Kerberos if a server offers it and the user name has an "@".
        return unsafe accepted(
            set(CURLOPT_USERNAME, login.username), set(CURLOPT_PASSWORD, login.password),
            easy_set_string(easy, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN"),
            // Some servers refuse AUTH PLAIN without the credentials on the same line, against RFC 4954.
            easy_set_long(easy, CURLOPT_SASL_IR, 1))
    }

    fileprivate func setCallbacks() -> Bool {
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe multi_set_pointer(multi, CURLMOPT_SOCKETDATA, me)
        unsafe multi_set_pointer(multi, CURLMOPT_TIMERDATA, me)
        unsafe multi_set_socket(multi) { _, descriptor, wish, me, _ in
            unsafe MailConnection.from(me).watch(descriptor, wish)
            return 0
        }
        unsafe multi_set_timer(multi) { _, milliseconds, me in
            unsafe MailConnection.from(me).timerWishes(milliseconds)
            return 0
        }
        return unsafe accepted(
            easy_set_pointer(easy, CURLOPT_ERRORBUFFER, words),
            easy_set_pointer(easy, CURLOPT_HEADERDATA, me),
            easy_set_write(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
                unsafe MailConnection.from(me).takeHeader(UnsafeRawPointer(bytes!), size * count)
            },
            easy_set_pointer(easy, CURLOPT_OPENSOCKETDATA, me),
            easy_set_open_socket(easy) { me, _, address in unsafe MailConnection.from(me).open(address!) },
            easy_set_pointer(easy, CURLOPT_CLOSESOCKETDATA, me),
            easy_set_close_socket(easy) { me, descriptor in unsafe MailConnection.from(me).closeSocket(descriptor) })
    }

    private func accepted(_ codes: CURLcode...) -> Bool { codes.allSatisfy { $0 == CURLE_OK } }

    /// The connection behind a pointer that libcurl holds.
    private static func from(_ pointer: UnsafeMutableRawPointer?) -> MailConnection {
        unsafe Unmanaged<MailConnection>.fromOpaque(pointer!).takeUnretainedValue()
    }

    private func watch(_ descriptor: Int32, _ wish: Int32) {
        if wish == CURL_POLL_REMOVE { return loop.unwatch(descriptor) }
        var readiness: Readiness = []
        if wish & CURL_POLL_IN != 0 { readiness.insert(.read) }
        if wish & CURL_POLL_OUT != 0 { readiness.insert(.write) }
        loop.watch(descriptor, for: readiness, self)
    }

    private func timerWishes(_ milliseconds: Int) {
        curlDue = milliseconds < 0 ? .distantFuture : .now() + .milliseconds(Int64(milliseconds))
    }

    private func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        let descriptor = unsafe CurlSocket.open(address, userTimeout: configuration.tcpUserTimeout)
        openError = descriptor < 0 ? errno : 0
        if descriptor >= 0 { owner.countSocket(1) }
        return descriptor
    }

    private func closeSocket(_ descriptor: curl_socket_t) -> Int32 {
        owner.countSocket(-1)
        loop.unwatch(descriptor)
        return Glibc.close(descriptor)
    }

    /// Takes a line of a reply while libcurl makes the connection.
    private func takeHeader(_ bytes: UnsafeRawPointer, _ size: Int) -> Int {
        let line = unsafe Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: size))
        for index in line.indices {
            do {
                guard let reply = try reader.take(line[index]) else { continue }
                lastReply = reply
                switch reply.code {
                // The greeting, or the reply to STARTTLS: what was said before TLS does not count.
                case 220: (offersSMTPUTF8, isLoggedIn) = (false, false)
                case 250: offersSMTPUTF8 = reply.offers("SMTPUTF8")
                case 235: isLoggedIn = true
                default: break
                }
            } catch {
                // libcurl itself accepts less.
                return -1
            }
        }
        return size
    }
}

extension Instant {
    /// Later than every other instant.
    fileprivate static let distantFuture = Instant(nanoseconds: .max)
}
