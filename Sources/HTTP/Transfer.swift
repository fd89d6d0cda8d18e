internal import CCurl
internal import EventLoop
internal import Glibc

/// One libcurl easy handle with its buffers, used for one request after another.
///
/// Owned by one `Multi` and touched on its loop's thread alone, because libcurl calls back only inside
/// `curl_multi_socket_action`, which only the multi calls. libcurl holds unretained pointers to it while the handle
/// exists, which `deinit` ends.
@safe final class Transfer {
    enum Owner {
        case none
        case post(tag: Int)
        // Indirect, because most transfers are POSTs, and copying an owner should not copy a continuation.
        indirect case call(id: UInt64, CheckedContinuation<Result<Response, HTTPError>, Never>)
    }

    /// Which open connections a request may use.
    enum Reuse: Equatable {
        case any
        case youngerThan(seconds: Int)
        /// A connection of its own, which no other request uses.
        case none
    }

    let easy: UnsafeMutableRawPointer
    var owner = Owner.none
    /// Its index in `Multi.active`; -1 if idle.
    var position = -1
    /// The body; wiped when the transfer is recycled, since it holds a code.
    var body: [UInt8] = []
    /// Bytes of the body that libcurl has been given.
    private(set) var fed = 0
    /// The last instant at which the body may still be fed.
    private(set) var leaseEnd = Instant.distantFuture
    /// The last instant of the whole request.
    private(set) var deadline = Instant.distantFuture
    private(set) var cutShort: CutShort?
    private(set) var method = Request.Method.post
    private var reuse = Reuse.any
    var answer: AnswerBuffer
    private(set) var head = AnswerHead()
    /// Whether all headers are collected.
    private var isCollecting = false
    private var endpoint: Endpoint?
    private let answerLimit: Int
    private let words: UnsafeMutablePointer<CChar>

    /// Nil if there is no memory, or if libcurl lacks an option.
    init?(_ configuration: HTTPConfiguration, sockets: Sockets, answer: AnswerBuffer) {
        guard let easy = unsafe curl_easy_init() else { return nil }
        unsafe self.easy = easy
        self.answer = answer
        answerLimit = configuration.answerLimit
        unsafe words = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        // A usual text has 300 bytes, an Arabic one of three segments 1,500. Growing the array would leave a copy of
        // the code behind.
        body.reserveCapacity(4096)
        guard setLimits(configuration), unsafe setCallbacks(sockets.pointer) else { return nil }
    }

    deinit {
        wipeBody()
        unsafe curl_easy_cleanup(easy)
        unsafe words.deallocate()
    }

    var isWhollyFed: Bool { fed == body.count }

    /// Whether no byte of the request is left in this process that could still leave it.
    var isWhollySent: Bool {
        if method == .get { return true }
        return unsafe isWhollyFed && Int(easy_get_offset(easy, CURLINFO_SIZE_UPLOAD_T)) == body.count
    }

    /// When it must be checked at the latest. A fed body that has not left must not leave after the lease either.
    var due: Instant { isWhollySent ? deadline : min(deadline, leaseEnd + Instant.Duration(nanoseconds: 1)) }

    /// Prepares it for one request, whose `body` is in place.
    func prepare(
        _ endpoint: Endpoint, _ method: Request.Method, reuse: Reuse, leaseEnd: Instant, deadline: Instant, owner: Owner
    ) -> CURLcode {
        self.owner = owner
        self.leaseEnd = leaseEnd
        self.deadline = deadline
        isCollecting = if case .call = owner { true } else { false }
        if self.endpoint !== endpoint {
            var code = unsafe easy_set_string(easy, CURLOPT_URL, endpoint.root)
            if code == CURLE_OK { code = unsafe easy_set_string(easy, CURLOPT_REQUEST_TARGET, endpoint.target) }
            if code == CURLE_OK { code = unsafe easy_set_headers(easy, endpoint.headers) }
            guard code == CURLE_OK else { return code }
            self.endpoint = endpoint
        }
        if self.reuse != reuse {
            guard set(reuse) else { return CURLE_UNKNOWN_OPTION }
            self.reuse = reuse
        }
        if self.method != method {
            let code = unsafe easy_set_long(easy, method == .get ? CURLOPT_HTTPGET : CURLOPT_POST, 1)
            guard code == CURLE_OK else { return code }
            self.method = method
        }
        if method == .get { return CURLE_OK }
        return unsafe easy_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
    }

    /// Records that this client ends it. Only the first reason counts.
    func cutShort(_ reason: CutShort) {
        if cutShort == nil { cutShort = reason }
    }

    /// The facts about its end.
    func ending(_ code: CURLcode, descriptorError: @escaping () -> Int32?) -> Ending {
        // APPCONNECT is the time of TLS, CONNECT that of TCP. A reused connection has neither, but it has PRETRANSFER.
        let isConnected = unsafe easy_get_offset(easy, CURLINFO_PRETRANSFER_TIME_T) > 0
        return Ending(
            code: code,
            cutShort: cutShort,
            isWhollyFed: method == .get ? unsafe easy_get_long(easy, CURLINFO_REQUEST_SIZE) > 0 : isWhollyFed,
            isConnected: isConnected,
            status: status,
            systemError: code == CURLE_COULDNT_CONNECT ? Int32(unsafe easy_get_long(easy, CURLINFO_OS_ERRNO)) : 0,
            descriptorError: descriptorError, message: { [self] in unsafe String(cString: words) })
    }

    /// The status of the last head, 0 without one.
    var status: Int { unsafe easy_get_long(easy, CURLINFO_RESPONSE_CODE) }

    var origin: String { endpoint?.origin ?? "" }

    /// Forgets the request but for its endpoint. Forgets the endpoint of a call too, because it is seldom reused.
    func recycle() {
        wipeBody()
        body.removeAll(keepingCapacity: body.capacity <= 16_384)
        fed = 0
        cutShort = nil
        head.reset()
        owner = .none
        unsafe words[0] = 0
    }

    private func wipeBody() {
        unsafe body.withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe explicit_bzero(start, bytes.count)
        }
    }
}

// MARK: libcurl's callbacks

extension Transfer {
    /// Feeds the body at the last possible moment: libcurl has sent the head and asks for the body.
    fileprivate func feed(_ target: UnsafeMutableRawPointer, room: Int) -> Int {
        let count = min(room, body.count - fed)
        // libcurl asked again after the last byte. Fed bytes cannot be taken back, and are not fed twice.
        guard count > 0 else { return abort(.fedTwice) }
        guard Instant.now() <= leaseEnd else { return abort(.leaseEnded) }
        unsafe body.withUnsafeBytes { unsafe _ = memcpy(target, $0.baseAddress! + fed, count) }
        fed += count
        return count
    }

    private func abort(_ reason: CutShort) -> Int {
        cutShort(reason)
        return Int(CURL_READFUNC_ABORT)
    }

    /// A result other than `size` makes libcurl end the transfer.
    fileprivate func receive(_ bytes: UnsafeRawPointer, _ size: Int) -> Int {
        if unsafe answer.append(bytes, size, limit: answerLimit) { return size }
        cutShort(.answerTooLarge)
        return -1
    }

    fileprivate func receiveHeader(_ bytes: UnsafeRawPointer, _ size: Int) -> Int {
        let line = unsafe Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: size))
        head.take(line, collecting: isCollecting)
        if head.size <= answerLimit { return size }
        cutShort(.answerTooLarge)
        return -1
    }

    private func setCallbacks(_ sockets: UnsafeMutableRawPointer) -> Bool {
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        // libcurl repeats a POST by itself when a reused connection is lost before an answer. If it cannot rewind the
        // body, it cannot repeat the POST and ends with CURLE_SEND_FAIL_REWIND instead.
        return unsafe accepted(
            easy_set_pointer(easy, CURLOPT_PRIVATE, me),
            easy_set_pointer(easy, CURLOPT_ERRORBUFFER, words),
            easy_set_pointer(easy, CURLOPT_READDATA, me),
            easy_set_read(easy) { target, size, count, me in
                unsafe Transfer.from(me).feed(UnsafeMutableRawPointer(target!), room: size * count)
            },
            easy_set_seek(easy) { _, _, _ in CURL_SEEKFUNC_FAIL },
            easy_set_pointer(easy, CURLOPT_WRITEDATA, me),
            easy_set_write(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
                unsafe Transfer.from(me).receive(UnsafeRawPointer(bytes!), size * count)
            },
            easy_set_pointer(easy, CURLOPT_HEADERDATA, me),
            easy_set_write(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
                unsafe Transfer.from(me).receiveHeader(UnsafeRawPointer(bytes!), size * count)
            },
            easy_set_pointer(easy, CURLOPT_OPENSOCKETDATA, sockets),
            easy_set_open_socket(easy) { sockets, _, address in unsafe Sockets.from(sockets).open(address!) },
            easy_set_pointer(easy, CURLOPT_CLOSESOCKETDATA, sockets),
            easy_set_close_socket(easy) { sockets, descriptor in unsafe Sockets.from(sockets).close(descriptor) })
    }

    /// Sets the options that never change. Features that libcurl leaves off by default (redirects, cookies, netrc, its
    /// own authentication, content decoding, verbose logs) are not named here.
    private func setLimits(_ configuration: HTTPConfiguration) -> Bool {
        let connectMilliseconds = Int(configuration.connectTimeout.millisecondsRoundedUp)
        var isAccepted = unsafe accepted(
            easy_set_long(easy, CURLOPT_POST, 1),
            easy_set_long(easy, CURLOPT_NOSIGNAL, 1),
            easy_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)),
            easy_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https"),
            easy_set_string(easy, CURLOPT_PROXY, ""),
            // Keeps libcurl from reading `no_proxy` in the environment for each transfer.
            easy_set_string(easy, CURLOPT_NOPROXY, "*"),
            easy_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
            easy_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, connectMilliseconds),
            // Without this option, ending a transfer during its name lookup waits for the resolver's thread. An
            // unreachable name server blocked the loop for 7 s in a measurement (7.88.1).
            easy_set_long(easy, CURLOPT_QUICK_EXIT, 1),
            easy_set_long(easy, CURLOPT_MAXAGE_CONN, Int(configuration.idleLimit.seconds)),
            // Sized for one answer and one body. By default each request would allocate 16 + 64 KiB.
            easy_set_long(easy, CURLOPT_BUFFERSIZE, 4096),
            easy_set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16_384))
        if let file = configuration.caFile {
            // Without this, libcurl would trust the system's directory as well.
            isAccepted =
                unsafe isAccepted
                && accepted(easy_set_string(easy, CURLOPT_CAINFO, file), easy_set_string(easy, CURLOPT_CAPATH, nil))
        }
        return isAccepted
    }

    private func set(_ reuse: Reuse) -> Bool {
        var (alone, lifetime) = (0, 0)
        switch reuse {
        case .any: break
        case .youngerThan(let seconds): lifetime = seconds
        case .none: alone = 1
        }
        return unsafe accepted(
            easy_set_long(easy, CURLOPT_FRESH_CONNECT, alone), easy_set_long(easy, CURLOPT_FORBID_REUSE, alone),
            easy_set_long(easy, CURLOPT_MAXLIFETIME_CONN, lifetime))
    }

    private func accepted(_ codes: CURLcode...) -> Bool { codes.allSatisfy { $0 == CURLE_OK } }

    /// The transfer behind a pointer that libcurl holds.
    static func from(_ pointer: UnsafeMutableRawPointer?) -> Transfer {
        unsafe Unmanaged<Transfer>.fromOpaque(pointer!).takeUnretainedValue()
    }
}

extension Instant {
    /// Later than every other instant.
    static let distantFuture = Instant(nanoseconds: .max)
}
