internal import EventLoop
internal import HTTP
internal import OTP
internal import Twilio

/// Sends requests to Twilio and to the URL for callbacks. They only read, except for one POST without a signature,
/// which has no effect.
struct HTTPProbe: Sendable {
    /// The timeout for one request, with the name lookup.
    static let timeout = Instant.Duration.seconds(8)

    let twilio: TwilioSettings
    let endpoint: Twilio.Endpoint
    private let authorization: Secret
    private let client: HTTPClient

    /// - Throws: an error of libcurl or of the credentials. The settings are already checked.
    init(_ twilio: TwilioSettings, caFile: String?, on loop: EventLoop) throws {
        self.twilio = twilio
        let credentials = try twilio.credentials()
        authorization = credentials.authorization
        endpoint = Twilio.Endpoint(accountSID: credentials.accountSID)
        client = try Self.client(caFile: caFile, plainHTTP: twilio.plainHTTP, on: loop)
    }

    private static func client(
        caFile: String?, plainHTTP: PlainHTTP = .toThisMachine, on loop: EventLoop
    ) throws(HTTPError) -> HTTPClient {
        var limits = HTTPConfiguration()
        limits.caFile = caFile
        limits.plainHTTP = plainHTTP
        limits.maxConnections = 8
        limits.userAgent = "otpd/\(Version.number) doctor"
        return try HTTPClient(limits, on: loop)
    }

    /// Sends a GET for a path below the base URL.
    func get(_ path: String) async -> TwilioChecks.TwilioReply {
        let header = authorization.withBytes { bytes in
            String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
        }
        let request = Request(
            .get, url: twilio.baseURL.description + path,
            headers: [.init("Authorization", header), .init("Accept", "application/json")], isAlone: true)
        return await Self.perform(request, on: client)
    }

    func close() async { await client.close() }

    /// Sends a status without a signature to the URL for callbacks. It ignores OTPD_CA_FILE, because Twilio trusts only
    /// public certificates.
    static func callback(_ url: WebAddress, on loop: EventLoop) async -> TwilioChecks.TwilioReply {
        let client: HTTPClient
        do { client = try Self.client(caFile: nil, on: loop) } catch { return .failure(error) }
        let request = Request(
            .post, url: url.description + "?reference=otpd-doctor",
            headers: [.init("Content-Type", "application/x-www-form-urlencoded")],
            body: Array("MessageStatus=otpd-doctor".utf8))
        let answer = await perform(request, on: client)
        await client.close()
        return answer
    }

    private static func perform(_ request: Request, on client: HTTPClient) async -> TwilioChecks.TwilioReply {
        do {
            let response = try await client.perform(request, deadline: .now() + timeout)
            return .response(status: response.status, body: response.body)
        } catch {
            return .failure(error)
        }
    }
}
