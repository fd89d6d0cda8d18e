public import EventLoop

/// An HTTP/1.1 client on an event loop, over libcurl.
///
/// Sends each POST at most once, and reports whether it was answered, certainly not sent, or unknown. The hot path
/// (`post`, `onCompletions`) is synchronous, on the loop's thread, and allocates nothing of its own per send. `perform`
/// is for everything else. Close the client before you release it.
///
///     let client = try HTTPClient(.init(), on: loop)
///     let messages = try client.endpoint(url: url, authorization: basic)
///     client.onCompletions { completions in … }                      // once, on the loop
///     client.post(messages, tag: 7, leaseEnd: end) { body in body.append(contentsOf: form) }
public actor HTTPClient {
    /// The event loop that it runs on.
    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
    private nonisolated let multi: Multi
    /// Sent with every request. `CURLOPT_USERAGENT` is not used, because libcurl would format it again for each
    /// transfer.
    private nonisolated let userAgent: Request.Header
    private nonisolated let plainHTTP: PlainHTTP

    /// Makes a client that opens connections on demand. From any thread.
    ///
    /// - Throws: `HTTPError` when libcurl can't be used.
    public init(_ configuration: HTTPConfiguration = HTTPConfiguration(), on loop: EventLoop) throws(HTTPError) {
        self.loop = loop
        multi = try Multi(configuration, on: loop)
        userAgent = .init("User-Agent", configuration.userAgent)
        plainHTTP = configuration.plainHTTP
    }

    /// Initializes libcurl for the process and ignores SIGPIPE. Best called before the first thread starts.
    ///
    /// - Throws: `HTTPError` when libcurl can't be used.
    public static func prepareProcess() throws(HTTPError) {
        if let failure = CurlLibrary.failure { throw failure }
    }

    /// A URL and the headers of all its POSTs. From any thread.
    /// `authorization` is the value of the header `Authorization`, such as `Basic …`, as ASCII; empty for none.
    /// - Throws: `HTTPError` for a refused URL, or an authorization with a control character.
    public nonisolated func endpoint(url: String, authorization: [UInt8]) throws(HTTPError) -> Endpoint {
        var headers = [userAgent, .init("Accept", "application/json")]
        if !authorization.isEmpty {
            headers.append(.init("Authorization", String(decoding: authorization, as: UTF8.self)))
        }
        return try Endpoint(url: url, headers: headers, plainHTTP: plainHTTP)
    }

    // MARK: The hot path, on the loop's thread

    /// Starts a POST of the form that `fill` writes into an empty buffer. It ends as a `Completion` with `tag`, never
    /// before this call returns.
    ///
    /// The body must not be empty. It is fed to libcurl no later than `leaseEnd`, and the request takes no longer than
    /// `HTTPConfiguration.totalTimeout`. The buffer is wiped afterwards. On the loop's thread; traps elsewhere, and
    /// once the client is closed.
    public nonisolated func post(_ endpoint: Endpoint, tag: Int, leaseEnd: Instant, fill: (inout [UInt8]) -> Void) {
        loop.checkIsolated()
        multi.post(endpoint, tag: tag, leaseEnd: leaseEnd, fill: fill)
    }

    /// Sets the handler of completions. It is called on the loop, once a turn, with all POSTs that have ended, in no
    /// order.
    ///
    /// The handler may start new POSTs, which leave in the same turn. The bodies are lent to the handler until it
    /// returns. On the loop's thread; traps elsewhere.
    /// loop's thread; traps elsewhere.
    public nonisolated func onCompletions(_ handler: @escaping @Sendable ([Completion]) -> Void) {
        loop.checkIsolated()
        multi.handler = handler
    }

    /// The number of requests under way. On the loop's thread; traps elsewhere.
    public nonisolated var inFlight: Int {
        loop.checkIsolated()
        return multi.inFlight
    }

    /// The number of open connections, idle ones included. On the loop's thread; traps elsewhere.
    public nonisolated var openConnections: Int {
        loop.checkIsolated()
        return multi.openConnections
    }

    /// Stops the reuse of all connections made so far. Called when an answer on one of them belonged to another
    /// request. On the loop's thread; traps elsewhere.
    public nonisolated func retireConnections() {
        loop.checkIsolated()
        multi.retiredAt = .now()
    }

    /// Gives up every request. Each ends as not sent or unknown. On the loop's thread; traps elsewhere.
    public nonisolated func cancelAll() {
        loop.checkIsolated()
        multi.cancelAll()
    }

    // MARK: Off the hot path

    /// Makes one request and waits for its answer.
    ///
    /// - Throws: `HTTPError` without a complete answer by `deadline`, or when the task is canceled.
    public func perform(_ request: Request, deadline: Instant) async throws(HTTPError) -> Response {
        let endpoint = try Endpoint(
            url: request.url, headers: [userAgent] + request.headers, plainHTTP: plainHTTP)
        if request.method == .post, request.body.isEmpty {
            throw HTTPError(.setup("a POST needs a body"), origin: endpoint.origin)
        }
        let call = Call()
        let canceled = HTTPError(.canceled, origin: endpoint.origin)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Response, HTTPError>, Never>) in
                guard !call.isCanceled, !Task.isCancelled else {
                    continuation.resume(returning: .failure(canceled))
                    return
                }
                call.number = multi.call(
                    endpoint, request.method, body: request.body, isAlone: request.isAlone, deadline: deadline,
                    continuation)
            }
        } onCancel: {
            // Cancellation may come from any thread, so it reaches the call as a job of the loop.
            Task(executorPreference: loop) { await self.cancel(call) }
        }
        if call.isCanceled, case .failure = result { throw canceled }
        return try result.get()
    }

    /// Gives up every request, reports how each ended, and closes the connections. Harmless if repeated.
    public func close() { multi.close() }

    private func cancel(_ call: Call) {
        call.isCanceled = true
        if let number = call.number { multi.cancel(call: number) }
    }

    /// One `perform`. `@unchecked Sendable`: only the client's isolated code touches it, and so only the loop's thread.
    private final class Call: @unchecked Sendable {
        var number: UInt64?
        var isCanceled = false
    }
}
