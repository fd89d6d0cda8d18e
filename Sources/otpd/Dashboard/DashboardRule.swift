internal import HTTP
internal import HTTPServer

/// Decides the answer to a request for the dashboard from the request and its token. Pure, except that it counts wrong
/// tokens.
struct DashboardRule: Sendable {
    /// A question that needs the database.
    enum Reading: Equatable, Sendable {
        case status
        case hour, day
        case metrics
        /// Whether otpd is ready. A detailed answer gives the reason.
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
        // Without a token only this machine may read. A web site whose name resolves to 127.0.0.1 must not.
        guard hasToken || Self.isOwn(request.host) else {
            return .answer(
                PageAnswer(
                    403,
                    "Open this page as localhost or 127.0.0.1. To use another name, set OTPD_DASHBOARD_TOKEN."))
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
            return .answer(PageAnswer(400, "Use span=hour or span=day."))
        case ("/metrics", _): reading = .metrics
        default: return .answer(PageAnswer(404, "This page does not exist. The dashboard is at /"))
        }
        switch tokens.decide(request.authorization, client: request.client, now: now) {
        case .allowed: return .read(reading)
        case .missing:
            return .answer(
                PageAnswer(
                    401, "This page needs the dashboard's token in the header Authorization: Bearer TOKEN",
                    headers: [("WWW-Authenticate", "Bearer realm=\"otpd\"")]))
        case .wrong:
            return .answer(
                PageAnswer(
                    401, "The token is wrong. Use the value of OTPD_DASHBOARD_TOKEN.",
                    headers: [("WWW-Authenticate", "Bearer realm=\"otpd\", error=\"invalid_token\"")]))
        case .tooMany(let seconds):
            return .answer(
                PageAnswer(
                    429, "Too many wrong tokens. Try again in \(seconds) seconds.",
                    headers: [("Retry-After", "\(seconds)")]))
        }
    }

    private static func isOwn(_ host: String) -> Bool {
        HostAndPort.split(host[...]).map { Loopback.contains($0.host) } ?? false
    }
}
