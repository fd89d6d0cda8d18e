internal import CCurl
internal import EventLoop
internal import Glibc

/// The owner of libcurl's multi handle. It starts transfers, drives them from the loop's turns, and reports how they
/// ended.
///
/// `@unchecked Sendable`: after `init`, only the loop's thread touches it. `HTTPClient` checks this at its entry
/// points, and the loop and libcurl call back on that thread. libcurl holds unretained pointers to it; `close()`, or
/// `deinit` if it never started, ends libcurl's use of them. The loop holds it from the first request to `close()`.
@safe final class Multi: TurnObserver, ReadinessHandler, @unchecked Sendable {
    private enum State {
        /// → running with the first request, closed.
        case fresh
        /// → closed.
        case running
        case closed
    }

    private let loop: EventLoop
    private let configuration: HTTPConfiguration
    private let multi: UnsafeMutableRawPointer
    private var state = State.fresh
    private let sockets: Sockets

    private var active: [Transfer] = []
    private var idle: [Transfer] = []
    private var idleAnswers: [AnswerBuffer] = []

    /// Called with all completions of a turn.
    var handler: (([Completion]) -> Void)?
    private var completions: [Completion] = []
    private var lent: [AnswerBuffer] = []

    /// When libcurl wants to be called next; `distantFuture` for never.
    private var curlDue = Instant.distantFuture
    /// No later than the first instant at which an active transfer must be ended. Exact after each pass over all
    /// transfers.
    private var nextCheck = Instant.distantFuture
    private var timer: TimerID?
    private var timerDue = Instant.distantFuture
    /// Whether this turn's `turnWillEnd` has run. After it, a new request must schedule its own wake-up.
    private var hasTurnEnded = true
    /// When this turn returned from waiting.
    private var turnBegan = Instant(nanoseconds: 0)
    /// Connections made before this are not used again.
    var retiredAt: Instant?
    private var nextCall: UInt64 = 0

    init(_ configuration: HTTPConfiguration, on loop: EventLoop) throws(HTTPError) {
        if let failure = CurlLibrary.failure { throw failure }
        guard let multi = unsafe curl_multi_init() else { throw HTTPError(.setup("curl_multi_init found no memory")) }
        self.loop = loop
        self.configuration = configuration
        sockets = Sockets(on: loop, userTimeout: configuration.tcpUserTimeout)
        unsafe self.multi = multi
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        let connections = configuration.maxConnections
        unsafe multi_set_pointer(multi, CURLMOPT_SOCKETDATA, me)
        unsafe multi_set_pointer(multi, CURLMOPT_TIMERDATA, me)
        unsafe multi_set_socket(multi) { _, descriptor, wish, me, _ in
            let me = unsafe Multi.from(me)
            me.sockets.watch(descriptor, wish, me)
            return 0
        }
        unsafe multi_set_timer(multi) { _, milliseconds, me in
            unsafe Multi.from(me).timerWishes(milliseconds)
            return 0
        }
        unsafe multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections)
        unsafe multi_set_long(multi, CURLMOPT_MAXCONNECTS, connections)
        unsafe multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
    }

    deinit {
        if state != .closed { unsafe _ = curl_multi_cleanup(multi) }
    }

    var inFlight: Int { active.count }
    var openConnections: Int { sockets.open }

    // MARK: Starting and giving up

    func post(_ endpoint: Endpoint, tag: Int, leaseEnd: Instant, fill: (inout [UInt8]) -> Void) {
        begin()
        guard let transfer = makeTransfer() else {
            fail(tag: tag, code: CURLE_OUT_OF_MEMORY)
            return
        }
        fill(&transfer.body)
        precondition(!transfer.body.isEmpty, "a POST needs a body, which shows whether it was sent")
        start(
            transfer, endpoint, .post, leaseEnd: leaseEnd, deadline: .now() + configuration.totalTimeout,
            owner: .post(tag: tag))
    }

    /// Starts a request off the hot path. Returns its number, for `cancel`.
    @discardableResult
    func call(
        _ endpoint: Endpoint, _ method: Request.Method, body: [UInt8], isAlone: Bool, deadline: Instant,
        _ continuation: CheckedContinuation<Result<Response, HTTPError>, Never>
    ) -> UInt64 {
        guard state != .closed else {
            continuation.resume(returning: .failure(HTTPError(.notSent(.canceled), origin: endpoint.origin)))
            return nextCall
        }
        begin()
        nextCall += 1
        guard let transfer = makeTransfer() else {
            continuation.resume(returning: .failure(HTTPError(.setup("no memory for a transfer"))))
            return nextCall
        }
        if method == .post { transfer.body.append(contentsOf: body) }
        start(
            transfer, endpoint, method, isAlone: isAlone, leaseEnd: deadline, deadline: deadline,
            owner: .call(id: nextCall, continuation))
        return nextCall
    }

    func cancel(call number: UInt64) {
        for transfer in active {
            guard case .call(number, _) = transfer.owner else { continue }
            end(transfer, .canceled)
            return
        }
    }

    func cancelAll() {
        while let transfer = active.last { end(transfer, .canceled) }
        wakeIfLate()
    }

    func close() {
        guard state != .closed else { return }
        cancelAll()
        deliver()
        loop.removeObserver(self)
        if let timer { loop.cancel(timer) }
        timer = nil
        idle.removeAll()
        // Closes the idle connections, through `closeSocket`.
        unsafe _ = curl_multi_cleanup(multi)
        state = .closed
        handler = nil
    }

    private func begin() {
        switch state {
        case .running: return
        case .fresh:
            state = .running
            loop.addObserver(self)
        case .closed: preconditionFailure("a request was started on an HTTP client that is closed")
        }
    }

    private func start(
        _ transfer: Transfer, _ endpoint: Endpoint, _ method: Request.Method, isAlone: Bool = false, leaseEnd: Instant,
        deadline: Instant, owner: Transfer.Owner
    ) {
        transfer.position = active.count
        active.append(transfer)
        let reuse: Transfer.Reuse = isAlone ? .none : trusted()
        let code = transfer.prepare(
            endpoint, method, reuse: reuse, leaseEnd: leaseEnd, deadline: deadline, owner: owner)
        nextCheck = min(nextCheck, transfer.due)
        if code != CURLE_OK {
            finish(transfer, code)
        } else if unsafe curl_multi_add_handle(multi, transfer.easy) != CURLM_OK {
            finish(transfer, CURLE_FAILED_INIT)
        }
        wakeIfLate()
    }

    /// Which connections may be reused. A retirement ends when all connections that were idle then have been closed.
    private func trusted() -> Transfer.Reuse {
        guard let retiredAt else { return .any }
        let age = Instant.now() - retiredAt
        guard age < configuration.idleLimit + .seconds(10) else {
            self.retiredAt = nil
            return .any
        }
        // libcurl counts whole seconds, and 0 means no limit.
        return .youngerThan(seconds: max(1, Int(age.seconds) - 1))
    }

    private func makeTransfer() -> Transfer? {
        if let transfer = idle.popLast() { return transfer }
        return Transfer(configuration, sockets: sockets, answer: makeAnswer())
    }

    private func makeAnswer() -> AnswerBuffer { idleAnswers.popLast() ?? AnswerBuffer() }

    // MARK: Turns

    func turnWillBegin(at now: Instant) {
        hasTurnEnded = false
        turnBegan = now
        // Checked before libcurl is called. A body that has not left by now must not leave any more. If a body has
        // wholly left, this turn may still read its answer.
        if now >= nextCheck { endOverdue(at: now) { !$0.isWhollySent } }
    }

    func ready(_ descriptor: Int32, _ readiness: Readiness) {
        if sockets.state(descriptor) == .idle {
            // The server closed it while it idled, or sent more than an answer. libcurl notices this before it uses it
            // again.
            loop.unwatch(descriptor)
            return
        }
        var events: Int32 = 0
        if readiness.contains(.read) { events |= CURL_CSELECT_IN }
        if readiness.contains(.write) { events |= CURL_CSELECT_OUT }
        // CURL_CSELECT_ERR is not used, because an answer may lie before the error, and reading finds both.
        if readiness.contains(.failed) { events |= CURL_CSELECT_IN | CURL_CSELECT_OUT }
        act(descriptor, events)
    }

    func turnWillEnd() {
        var now = Instant.now()
        // The process may have been stopped since the turn began, so nothing more of a begun body may leave. The feed
        // refuses a body that has not begun.
        if now >= nextCheck { endOverdue(at: now) { $0.fed > 0 && !$0.isWhollySent } }
        // The handler may answer completions with new requests, which are sent in this turn too. The rounds are
        // limited, so that a server that refuses everything at once cannot keep the loop from its other work.
        for _ in 0..<8 {
            if curlDue <= now {
                curlDue = .distantFuture
                act(CURL_SOCKET_TIMEOUT, 0)
            }
            takeEnded()
            // Compared with the time at which this turn's answers were read. Answers that came since are read first, in
            // the next turn.
            if turnBegan >= nextCheck { endOverdue(at: turnBegan) { _ in true } }
            deliver()
            guard state == .running else { return }
            if completions.isEmpty, curlDue > now {
                now = .now()
                if curlDue > now { break }
            }
        }
        setTimer()
        hasTurnEnded = true
    }

    private func act(_ descriptor: Int32, _ events: Int32) {
        var running: Int32 = 0
        // This fails only for an invalid handle. The transfers' own errors come as messages.
        unsafe _ = curl_multi_socket_action(multi, descriptor, events, &running)
    }

    /// Sets one timer for libcurl and for the deadlines. A timer that is set too early stays: it fires and is set
    /// again.
    private func setTimer() {
        let due = completions.isEmpty ? min(curlDue, nextCheck) : .now()
        guard due < timerDue else { return }
        if let timer { loop.cancel(timer) }
        timerDue = due
        timer = loop.schedule(at: due) { [self] in
            // The end of this turn does the work.
            timer = nil
            timerDue = .distantFuture
        }
    }

    private func wakeIfLate() {
        if hasTurnEnded, state == .running { setTimer() }
    }

    // MARK: Endings

    private func takeEnded() {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            unsafe finish(Transfer.from(easy_get_private(message.pointee.easy_handle)), message.pointee.data.result)
        }
    }

    /// Ends the overdue transfers that `condition` allows, and computes when the next check is needed.
    private func endOverdue(at now: Instant, where condition: (Transfer) -> Bool) {
        var earliest = Instant.distantFuture
        // Goes backwards, because an ended transfer is replaced by the last, which has been checked already.
        for index in active.indices.reversed() {
            let transfer = active[index]
            if transfer.due <= now, condition(transfer) {
                let isLease = !transfer.isWhollyFed && transfer.leaseEnd < now
                end(transfer, isLease ? .leaseEnded : .timedOut)
            } else {
                earliest = min(earliest, transfer.due)
            }
        }
        nextCheck = earliest
    }

    /// Ends a transfer by force: closes its connection and discards its unsent bytes.
    private func end(_ transfer: Transfer, _ reason: CutShort) {
        transfer.cutShort(reason)
        finish(transfer, CURLE_ABORTED_BY_CALLBACK)
    }

    private func finish(_ transfer: Transfer, _ code: CURLcode) {
        let verdict = TransferVerdict(
            transfer.ending(
                code, descriptorError: { [self] in CurlSocket.descriptorError(openError: sockets.openError) }))
        switch transfer.owner {
        case .post(let tag): complete(transfer, tag, verdict)
        case .call(_, let continuation): answer(transfer, continuation, verdict)
        case .none: preconditionFailure("an unused transfer ended")
        }
        unsafe _ = curl_multi_remove_handle(multi, transfer.easy)
        let last = active.removeLast()
        if last !== transfer {
            active[transfer.position] = last
            last.position = transfer.position
        }
        transfer.position = -1
        // libcurl 8.14 remembers in a handle that it wanted to rewind a body. Each later request of such a handle fails before it
        // connects. So a handle is not used again if it ended with an error after it had asked for its body.
        guard code == CURLE_OK || transfer.fed == 0 else { return }
        transfer.recycle()
        idle.append(transfer)
    }

    private func complete(_ transfer: Transfer, _ tag: Int, _ verdict: TransferVerdict) {
        let body = AnswerBody(transfer.answer)
        let status = transfer.status
        let outcome: Completion.TransferResult =
            switch verdict {
            case .answered:
                .response(
                    status: status, body: body, retryAfter: transfer.head.retryAfter,
                    concurrentRequests: transfer.head.concurrentRequests)
            case .notSent(let reason): .notSent(reason)
            case .unknown(let reason): .unknown(reason)
            }
        completions.append(
            Completion(
                tag: tag, outcome: outcome, received: body, receivedStatus: status, origin: transfer.head.origin))
        lent.append(transfer.answer)
        transfer.answer = makeAnswer()
    }

    private func answer(
        _ transfer: Transfer, _ continuation: CheckedContinuation<Result<Response, HTTPError>, Never>,
        _ verdict: TransferVerdict
    ) {
        let result: Result<Response, HTTPError> =
            switch verdict {
            case .answered:
                .success(
                    Response(
                        status: transfer.status, headers: transfer.head.headers,
                        body: AnswerBody(transfer.answer).copy(), retryAfter: transfer.head.retryAfter))
            case .notSent(let reason): .failure(HTTPError(.notSent(reason), origin: transfer.origin))
            case .unknown(let reason): .failure(HTTPError(.unknown(reason), origin: transfer.origin))
            }
        transfer.answer.reset()
        continuation.resume(returning: result)
    }

    private func fail(tag: Int, code: CURLcode) {
        let answer = makeAnswer()
        completions.append(
            Completion(
                tag: tag, outcome: .notSent(.failed(code: Int32(code.rawValue))), received: AnswerBody(answer),
                receivedStatus: 0, origin: AnswerOrigin()))
        lent.append(answer)
        wakeIfLate()
    }

    /// Delivers the completions. Their bodies are returned when the handler returns.
    private func deliver() {
        guard !completions.isEmpty else { return }
        var (batch, answers) = ([Completion](), [AnswerBuffer]())
        swap(&batch, &completions)
        swap(&answers, &lent)
        handler?(batch)
        for answer in answers {
            answer.reset()
            idleAnswers.append(answer)
        }
        // Keep the arrays' storage, unless the handler has made new completions.
        batch.removeAll(keepingCapacity: true)
        answers.removeAll(keepingCapacity: true)
        if completions.isEmpty {
            swap(&batch, &completions)
            swap(&answers, &lent)
        }
    }
}

// MARK: libcurl's callbacks

extension Multi {
    /// The multi behind a pointer that libcurl holds.
    static func from(_ pointer: UnsafeMutableRawPointer?) -> Multi {
        unsafe Unmanaged<Multi>.fromOpaque(pointer!).takeUnretainedValue()
    }

    private func timerWishes(_ milliseconds: Int) {
        curlDue =
            switch milliseconds {
            case ..<0: .distantFuture
            case 0: Instant(nanoseconds: 0)
            default: .now() + .milliseconds(Int64(milliseconds))
            }
    }
}

extension Instant.Duration {
    static let zero = Instant.Duration(nanoseconds: 0)
}
