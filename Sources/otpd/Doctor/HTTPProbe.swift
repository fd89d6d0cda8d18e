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
        client = try HTTPClient(Self.limits(caFile: caFile, plainHTTP: twilio.plainHTTP), on: loop)
    }

    private static func limits(caFile: String?, plainHTTP: PlainHTTP = .toThisMachine) -> HTTPConfiguration {
        var limits = HTTPConfiguration()
        limits.caFile = caFile
        limits.plainHTTP = plainHTTP
        limits.maxConnections = 8
        limits.userAgent = "otpd/\(Version.number) doctor"
        return limits
    }

    /// Sends a GET for a path below the base URL.
    func get(_ path: String) async -> HTTPAnswer {
        let header = authorization.withBytes { bytes in
            String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
        }
        let request = Request(
            .get, url: twilio.baseURL.description + path,
            headers: [.init("Authorization", header), .init("Accept", "application/json")], isAlone: true)
        return await .to(request, on: client, within: Self.timeout)
    }

    func close() async { await client.close() }

    /// Sends a status without a signature to the URL for callbacks. It ignores OTPD_CA_FILE, because Twilio trusts only
    /// public certificates.
    static func callback(_ url: WebAddress, on loop: EventLoop) async -> HTTPAnswer {
        let request = Request(
            .post, url: url.description + "?reference=otpd-doctor",
            headers: [.init("Content-Type", "application/x-www-form-urlencoded")],
            body: Array("MessageStatus=otpd-doctor".utf8))
        return await .to(request, limits: limits(caFile: nil), within: timeout, on: loop)
    }
}
