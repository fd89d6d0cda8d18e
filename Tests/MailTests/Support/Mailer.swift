import EventLoop
import Mail
import OTP
import Testing

/// An actor on the loop that sends as the dispatcher does, one async call for each mail.
actor Mailer {
    nonisolated let client: MailClient
    nonisolated var unownedExecutor: UnownedSerialExecutor { client.loop.asUnownedSerialExecutor() }
    private var waiting: [Int: CheckedContinuation<MailCompletion.TransferResult, Never>] = [:]
    private var lastTag = 0

    init(_ client: MailClient) { self.client = client }

    func begin() {
        client.onCompletions { [weak self] completions in
            guard let self else { return }
            self.assumeIsolated { me in
                for completion in completions {
                    me.waiting.removeValue(forKey: completion.tag)!.resume(returning: completion.outcome)
                }
            }
        }
    }

    /// `leaseEnd` is the end of the lease, if it must be exact.
    func send(
        _ server: MailServer, _ content: String = "Subject: x\r\n\r\nhello\r\n", from: String = "app@example.com",
        to: String = "user@example.org", lease: Instant.Duration = .seconds(120),
        leaseEnd: Instant? = nil
    ) async throws -> MailCompletion.TransferResult {
        let (sender, recipient) = (try MailAddress(from), try MailAddress(to))
        lastTag += 1
        let tag = lastTag
        return await withCheckedContinuation {
            waiting[tag] = $0
            client.send(server, tag: tag, leaseEnd: leaseEnd ?? .now() + lease, from: sender, to: recipient) {
                $0.append(contentsOf: content.utf8)
            }
        }
    }

    /// Stops the loop until `gate` opens.
    func block(_ hasBegun: Gate, until gate: Gate) {
        hasBegun.open()
        gate.wait()
    }

    func cancelAll() { client.cancelAll() }
    func inFlight() -> Int { client.inFlight }
    func openConnections() -> Int { client.openConnections }
}

/// Runs `body` with a client on its own loop, then ends both.
func withMailer<Result: Sendable>(
    _ configuration: MailConfiguration = .unhurried, _ body: (Mailer) async throws -> Result
) async throws -> Result {
    let loop = try EventLoop.start()
    defer { loop.stop() }
    let client = try MailClient(configuration, on: loop)
    let mailer = Mailer(client)
    await mailer.begin()
    do {
        let result = try await body(mailer)
        await client.close()
        return result
    } catch {
        await client.close()
        throw error
    }
}

/// Runs `body` with a server whose connections `handle` serves, then ends the server.
func withServer<Result>(
    _ handle: @escaping @Sendable (SMTPPeer) -> Void, _ body: (SMTPServer) async throws -> Result
) async throws -> Result {
    let server = try SMTPServer(handle)
    defer { server.stop() }
    return try await body(server)
}

/// Sends one mail to a server with these reactions, and returns its end and the server's view.
func sendOne(
    _ reactions: [String: SMTPPeer.Reaction], extensions: [String] = ["PIPELINING", "SMTPUTF8"],
    _ configuration: MailConfiguration = .unhurried, to: String = "user@example.org", login: String? = nil,
    lease: Instant.Duration = .seconds(120)
) async throws -> (end: MailCompletion.TransferResult, mails: [String], verbs: [String], connections: Int) {
    try await withServer {
        $0.serve(reactions, extensions: extensions)
    } _: { server in
        let mailServer = try MailServer(
            url: server.url, username: Secret(login ?? ""), password: Secret(login == nil ? "" : "secret"))
        let end = try await withMailer(configuration) { try await $0.send(mailServer, to: to, lease: lease) }
        try await server.allPeersHaveGone()
        return (end, server.mails, server.accepted.flatMap(\.verbs), server.accepted.count)
    }
}

extension MailConfiguration {
    /// Times that no busy machine exceeds.
    static var unhurried: MailConfiguration {
        var configuration = MailConfiguration()
        configuration.connectTimeout = .seconds(120)
        configuration.totalTimeout = .seconds(120)
        return configuration
    }
}

extension Mailer {
    /// Sends a mail, and expects the end `wanted`.
    nonisolated func expect(
        _ wanted: Expected, _ server: MailServer, _ content: String = "Subject: x\r\n\r\nhello\r\n",
        lease: Instant.Duration = .seconds(120), at location: SourceLocation = #_sourceLocation
    ) async throws {
        let end = Expected(try await send(server, content, lease: lease))
        #expect(end == wanted, sourceLocation: location)
    }
}

extension MailCompletion.TransferResult {
    var refusal: MailRefusal? { if case .refused(let refusal) = self { refusal } else { nil } }
    var isTLSFailure: Bool { if case .notSent(.tlsFailed) = self { true } else { false } }
}
