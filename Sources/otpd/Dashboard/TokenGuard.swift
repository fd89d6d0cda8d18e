internal import HTTPServer
internal import OTP

/// Decides which requests may read: those with the right token, always. Tokens are compared in a time that does not depend
/// on where they differ. A client that has shown too many wrong tokens is asked to wait before the next wrong one; a client
/// behind the same address with the right token is not. Pure: seconds are given to it.
struct TokenGuard: Sendable {
    enum AuthDecision: Equatable {
        case allowed
        /// No token, or none that can be one.
        case missing
        case wrong
        /// Wrong, like too many before it: so many seconds are to pass before the next.
        case tooMany(retryAfter: Int)
    }

    /// Wrong tokens of a client in a row; then one more each `interval` seconds.
    static let burst = 10.0
    static let interval = 6.0
    /// Clients that are remembered; beyond that those of the longest ago are forgotten.
    static let clients = 1_000

    private let token: Secret?
    /// By client: how many wrong tokens weigh on it, and when that was so.
    private var debts: [String: (amount: Double, at: Double)] = [:]
    /// Since the start.
    private(set) var refused = 0

    /// Without a token everybody may read: on loopback alone.
    init(token: Secret?) { self.token = token }

    /// - Parameter now: seconds on a clock that only goes forward.
    mutating func decide(_ authorization: String?, client: String, now: Double) -> AuthDecision {
        guard let token else { return .allowed }
        guard let authorization, let shown = Self.bearer(authorization) else { return .missing }
        // First of all: no wrong token may keep the right one out.
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
