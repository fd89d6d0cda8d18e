internal import EventLoop
internal import HTTP

/// The result of one request of a tool: `otpd doctor` or `otpd probe`.
enum HTTPAnswer: Equatable, Sendable {
    case response(status: Int, body: [UInt8])
    case failure(HTTPError)

    var status: Int? {
        switch self {
        case .response(let status, _): status
        case .failure: nil
        }
    }

    /// Sends a request with a client that serves others too.
    static func to(_ request: Request, on client: HTTPClient, within timeout: Instant.Duration) async -> HTTPAnswer {
        do {
            let response = try await client.perform(request, deadline: .now() + timeout)
            return .response(status: response.status, body: response.body)
        } catch {
            return .failure(error)
        }
    }

    /// Sends a request with a client of its own.
    static func to(
        _ request: Request, limits: HTTPConfiguration, within timeout: Instant.Duration, on loop: EventLoop
    ) async -> HTTPAnswer {
        let client: HTTPClient
        do { client = try HTTPClient(limits, on: loop) } catch { return .failure(error) }
        let answer = await to(request, on: client, within: timeout)
        await client.close()
        return answer
    }
}
