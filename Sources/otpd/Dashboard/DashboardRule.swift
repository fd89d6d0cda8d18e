internal import HTTP
internal import HTTPServer

/// Decides what a request for the dashboard gets, by itself and who asks. Pure but for the guard's memory.
struct DashboardRule: Sendable {
    /// What only the database can answer.
    enum Reading: Equatable, Sendable {
        case status
        case hour, day
        case metrics
        /// Whether it is ready; with the reason, for whoever may read it.
        case readiness(detailed: Bool)
    }

    enum Decision: Equatable {
        case answer(PageAnswer)
        case read(Reading)
    }

    private(set) var tokens: TokenGuard
    private let hasToken: Bool

    init(_ settings: DashboardSettings) {
        tokens = TokenGuard(token: settings.token)
        hasToken = settings.token != nil
    }

    /// - Parameter now: seconds on a clock that only goes forward.
    mutating func decide(_ request: PageRequest, now: Double) -> Decision {
        if request.path == "/healthz" { return .answer(PageAnswer(200, "ok")) }
        // A site that makes its own name mean 127.0.0.1 must not read what is open to this machine alone.
        guard hasToken || Self.isOwn(request.host) else {
            return .answer(
                PageAnswer(
                    403,
                    "Without a token this is read as localhost or 127.0.0.1: set OTPD_DASHBOARD_TOKEN for other names."
                ))
        }
        let reading: Reading
        switch request.path {
        case "/": return .answer(DashboardPages.html)
        case "/dashboard.css": return .answer(DashboardPages.css)
        case "/dashboard.js": return .answer(DashboardPages.js)
        case "/readyz":
            guard hasToken, request.authorization == nil else { break }
            return .read(.readiness(detailed: false))
        default: break
        }
        switch (request.path, request.query) {
        case ("/readyz", _): reading = .readiness(detailed: true)
        case ("/api/status.json", _): reading = .status
        case ("/api/history.json", "span=hour"): reading = .hour
        case ("/api/history.json", "span=day"): reading = .day
        case ("/api/history.json", _):
            return .answer(PageAnswer(400, "Ask for span=hour or span=day."))
        case ("/metrics", _): reading = .metrics
        default: return .answer(PageAnswer(404, "Nothing is here. The dashboard is at /."))
        }
        switch tokens.decide(request.authorization, client: request.client, now: now) {
        case .allowed: return .read(reading)
        case .missing:
            return .answer(
                PageAnswer(
                    401, "This needs the dashboard's token: Authorization: Bearer …",
                    headers: [("WWW-Authenticate", "Bearer realm=\"otpd\"")]))
        case .wrong:
            return .answer(
                PageAnswer(
                    401, "This is not the dashboard's token (OTPD_DASHBOARD_TOKEN).",
                    headers: [("WWW-Authenticate", "Bearer realm=\"otpd\", error=\"invalid_token\"")]))
        case .tooMany(let seconds):
            return .answer(
                PageAnswer(
                    429, "Too many wrong tokens: try again in \(seconds) seconds.",
                    headers: [("Retry-After", "\(seconds)")]))
        }
    }

    private static func isOwn(_ host: String) -> Bool {
        HostAndPort.split(host[...]).map { Loopback.contains($0.host) } ?? false
    }
}
