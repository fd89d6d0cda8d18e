internal import EventLoop
internal import HTTP
internal import OTP
internal import Twilio

/// Asks Twilio, and the callback's URL: reads alone, and one POST that is not signed and so does nothing.
struct HTTPProbe: Sendable {
    /// For one request, name lookup and all.
    static let timeout = Instant.Duration.seconds(8)

    let twilio: TwilioSettings
    let endpoint: Twilio.Endpoint
    private let authorization: Secret
    private let client: HTTPClient

    /// - Throws: what libcurl or the credentials are wrong with; the settings have been checked before.
    init(_ twilio: TwilioSettings, caFile: String?, on loop: EventLoop) throws {
        self.twilio = twilio
        let credentials = try twilio.credentials()
        authorization = credentials.authorization
        endpoint = Twilio.Endpoint(accountSID: credentials.accountSID)
        client = try Self.client(caFile: caFile, on: loop)
    }

    private static func client(caFile: String?, on loop: EventLoop) throws(HTTPError) -> HTTPClient {
        var limits = HTTPConfiguration()
        limits.caFile = caFile
        limits.maxConnections = 8
        limits.userAgent = "otpd/\(Version.number) doctor"
        return try HTTPClient(limits, on: loop)
    }

    /// A GET of a path below the base URL.
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

    /// A status that nobody signed, to the callback's URL. Its certificate is to be one that everybody trusts, since Twilio
    /// knows no OTPD_CA_FILE.
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
