internal import HTTPServer
internal import OTP

/// Decides which requests may read. A request with the right token always may. A client with too many wrong tokens must
/// wait before it may try another one. Other clients at its address can still use the right token. The time of a
/// comparison does not depend on the first different character. Pure: the time is a parameter.
struct TokenGuard: Sendable {
    enum AuthDecision: Equatable {
        case allowed
        /// There is no bearer token.
        case missing
        case wrong
        /// There were too many wrong tokens. The client must wait for this many seconds.
        case tooMany(retryAfter: Int)
    }

    /// How many wrong tokens a client may send at once. After them it may try once every `interval` seconds.
    static let burst = 10.0
    static let interval = 6.0
    /// How many clients are remembered. Beyond that, the oldest are forgotten.
    static let clients = 1_000

    private let token: Secret?
    /// The wrong tokens that still count against each client, and when they were counted.
    private var debts: [String: (amount: Double, at: Double)] = [:]
    /// Requests with a wrong token since the start.
    private(set) var refused = 0

    /// Without a token every request may read. The settings allow that only on a loopback address.
    init(token: Secret?) { self.token = token }

    /// - Parameter now: seconds on a clock that only goes forward.
    mutating func decide(_ authorization: String?, client: String, now: Double) -> AuthDecision {
        guard let token else { return .allowed }
        guard let authorization, let shown = Self.bearer(authorization) else { return .missing }
        // This check comes first, so that wrong tokens never block the right one.
        if Secret(shown) == token { return .allowed }
        refused += 1
        let client = ClientAddress.key(client)
        let debt = debts[client].map { max(0, $0.amount - (now - $0.at) / Self.interval) } ?? 0
        if debt > Self.burst - 1 {
            return .tooMany(retryAfter: Int(((debt - Self.burst + 1) * Self.interval).rounded(.up)))
        }
        debts[client] = (debt + 1, now)
        if debts.count > Self.clients {
            debts = debts.filter { $0.value.amount > (now - $0.value.at) / Self.interval }
            if debts.count > Self.clients, let oldest = debts.min(by: { $0.value.at < $1.value.at })?.key {
                debts[oldest] = nil
            }
        }
        return .wrong
    }

    private static func bearer(_ header: String) -> String? {
        guard header.prefix(7).lowercased() == "bearer " else { return nil }
        let token = header.dropFirst(7).drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }
}
