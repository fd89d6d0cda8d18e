public import EventLoop
internal import HTTP

/// An SMTP client on an event loop, over libcurl's connections.
///
/// Sends each mail at most once, and reports whether it was accepted, refused, certainly not sent, or unknown. The hot
/// path (`send`, `onCompletions`) is synchronous, on the loop's thread. Close the client before you release it.
///
///     let client = try MailClient(.init(), on: loop)
///     let server = try MailServer(url: "smtps://mail.example.com", username: name, password: password)
///     client.onCompletions { completions in … }                      // once, on the loop
///     client.send(server, tag: 7, leaseEnd: end, from: sender, to: recipient) { message.write(into: &$0) }
public actor MailClient {
    /// The event loop that it runs on.
    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
    private nonisolated let pool: MailPool
    private nonisolated let totalTimeout: Instant.Duration

    /// Makes a client that opens connections on demand. From any thread.
    ///
    /// - Throws: `MailError` when libcurl or the client's name can't be used.
    public init(_ configuration: MailConfiguration = MailConfiguration(), on loop: EventLoop) throws(MailError) {
        do { try HTTPClient.prepareProcess() } catch { throw MailError(.setup("\(error)")) }
        if let name = configuration.clientName, DomainName(ascii: Array(name.utf8)) == nil {
            throw MailError(.setup("the client's name for EHLO is not a domain"))
        }
        self.loop = loop
        totalTimeout = configuration.totalTimeout
        pool = MailPool(configuration, on: loop)
    }

    // MARK: The hot path, on the loop's thread

    /// Starts a mail with the content that `fill` writes into an empty buffer. It ends as a `MailCompletion` with
    /// `tag`, never before this call returns.
    ///
    /// The content must not be empty; see `MailMessage`. The dot that ends it leaves no later than `leaseEnd`, and the
    /// mail takes no longer than `MailConfiguration.totalTimeout`. The buffer is wiped afterwards. On the loop's
    /// thread; traps elsewhere, and once the client is closed.
    public nonisolated func send(
        _ server: MailServer, tag: Int, leaseEnd: Instant, from sender: MailAddress, to recipient: MailAddress,
        fill: (inout [UInt8]) -> Void
    ) {
        loop.checkIsolated()
        pool.add(
            OutgoingMail(
                server, tag: tag, from: sender, to: recipient, leaseEnd: leaseEnd, deadline: .now() + totalTimeout,
                fill: fill))
    }

    /// Sets the handler of completions. It is called on the loop, at most once a turn, with all mails that have ended,
    /// in no order. It may send new mails. On the loop's thread; traps elsewhere.
    public nonisolated func onCompletions(_ handler: @escaping @Sendable ([MailCompletion]) -> Void) {
        loop.checkIsolated()
        pool.handler = handler
    }

    /// The number of mails under way. On the loop's thread; traps elsewhere.
    public nonisolated var inFlight: Int {
        loop.checkIsolated()
        return pool.inFlight
    }

    /// The number of open connections, idle ones included. On the loop's thread; traps elsewhere.
    public nonisolated var openConnections: Int {
        loop.checkIsolated()
        return pool.openConnections
    }

    /// Gives up every mail. Each ends as not sent or unknown. On the loop's thread; traps elsewhere.
    public nonisolated func cancelAll() {
        loop.checkIsolated()
        pool.cancelAll()
    }

    // MARK: Off the hot path

    /// Connects and logs in, without sending anything.
    ///
    /// - Throws: `MailError` if this has not succeeded by `deadline`.
    public func check(_ server: MailServer, deadline: Instant) async throws(MailError) {
        let result: Result<Void, MailError> = await withCheckedContinuation {
            pool.add(OutgoingMail(checking: server, deadline: deadline, $0))
        }
        try result.get()
    }

    /// Gives up every mail, reports how each ended, and closes the connections. Harmless if repeated.
    public func close() { pool.close() }
}
