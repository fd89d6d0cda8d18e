import EventLoop
import HTTP
import Testing

/// The end of a POST, with a copy of its body.
enum Ended: Equatable, Sendable {
    case response(Int, String, retryAfter: Int? = nil, concurrent: Int? = nil)
    case notSent(NotSentReason)
    case unknown(UnknownReason)

    init(_ outcome: Completion.TransferResult) {
        self =
            switch outcome {
            case .response(let status, let body, let retryAfter, let concurrent):
                .response(
                    status, String(decoding: body.copy(), as: UTF8.self), retryAfter: retryAfter, concurrent: concurrent
                )
            case .notSent(let reason): .notSent(reason)
            case .unknown(let reason): .unknown(reason)
            }
    }

    var isTLSFailure: Bool {
        if case .notSent(.tlsFailed) = self { true } else { false }
    }
}

/// An actor on the loop that sends as the dispatcher does, one async call for each POST.
actor Poster {
    nonisolated let client: HTTPClient
    nonisolated var unownedExecutor: UnownedSerialExecutor { client.loop.asUnownedSerialExecutor() }
    private var waiting: [Int: CheckedContinuation<Ended, Never>] = [:]
    private var lastTag = 0
    /// The bodies received with the completions so far, whatever the outcome.
    private(set) var evidence: [String] = []

    init(_ client: HTTPClient) { self.client = client }

    func begin() {
        client.onCompletions { [weak self] completions in
            guard let self else { return }
            self.assumeIsolated { me in
                for completion in completions {
                    me.evidence.append(String(decoding: completion.received.copy(), as: UTF8.self))
                    me.waiting.removeValue(forKey: completion.tag)!.resume(returning: Ended(completion.outcome))
                }
            }
        }
    }

    /// Runs `meanwhile` on the loop after the POST has started, in the same turn.
    func post(
        _ url: String, _ body: String = "Body=x", lease: Instant.Duration = .seconds(30),
        meanwhile: @Sendable () -> Void = {}
    ) async throws -> Ended {
        let endpoint = try client.endpoint(url: url, authorization: Array("Basic QUM6dG9rZW4=".utf8))
        lastTag += 1
        let tag = lastTag
        return await withCheckedContinuation {
            waiting[tag] = $0
            client.post(endpoint, tag: tag, leaseEnd: .now() + lease) { $0.append(contentsOf: body.utf8) }
            meanwhile()
        }
    }

    func cancelAll() { client.cancelAll() }
    func inFlight() -> Int { client.inFlight }
    func openConnections() -> Int { client.openConnections }
}

/// Runs `body` with a client on its own loop, then ends both.
func withPoster<Result: Sendable>(
    _ configuration: HTTPConfiguration = .init(), _ body: (Poster) async throws -> Result
) async throws -> Result {
    let loop = try EventLoop.start()
    defer { loop.stop() }
    let client = try HTTPClient(configuration, on: loop)
    let poster = Poster(client)
    await poster.begin()
    do {
        let result = try await body(poster)
        await client.close()
        return result
    } catch {
        await client.close()
        throw error
    }
}

/// Runs `body` with a server whose connections `handle` serves, then ends the server.
func withServer<Result>(
    receiveBuffer: Int32? = nil, _ handle: @escaping @Sendable (Peer) -> Void,
    _ body: (RawServer) async throws -> Result
) async throws -> Result {
    let server = RawServer(receiveBuffer: receiveBuffer, handle)
    defer { server.stop() }
    return try await body(server)
}

/// A configuration with a short total time, for tests of timeouts.
func hurried(_ total: Instant.Duration = .milliseconds(150)) -> HTTPConfiguration {
    var configuration = HTTPConfiguration()
    configuration.totalTimeout = total
    return configuration
}

extension Poster {
    /// Sends a POST, and expects the end `wanted`.
    nonisolated func expect(
        _ wanted: Ended, _ url: String, _ body: String = "Body=x", lease: Instant.Duration = .seconds(30),
        meanwhile: @Sendable () -> Void = {}, at location: SourceLocation = #_sourceLocation
    ) async throws {
        let ended = try await post(url, body, lease: lease, meanwhile: meanwhile)
        #expect(ended == wanted, sourceLocation: location)
    }
}
