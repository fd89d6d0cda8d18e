internal import OTP

/// Decides who may read: compares tokens in a time that does not depend on where they differ, and hears no more of a client
/// that has shown too many wrong ones. Pure: seconds are given to it.
struct TokenGuard: Sendable {
    enum Verdict: Equatable {
        case allowed
        /// No token, or none that can be one.
        case missing
        case wrong
        /// Not looked at: so many seconds are to pass first.
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
    mutating func decide(_ authorization: String?, client: String, now: Double) -> Verdict {
        guard let token else { return .allowed }
        let client = Self.key(client)
        let debt = debts[client].map { max(0, $0.amount - (now - $0.at) / Self.interval) } ?? 0
        if debt > Self.burst - 1 {
            refused += 1
            return .tooMany(retryAfter: Int(((debt - Self.burst + 1) * Self.interval).rounded(.up)))
        }
        guard let authorization, let shown = Self.bearer(authorization) else { return .missing }
        if Secret(shown) == token { return .allowed }
        refused += 1
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

    /// Of IPv6 the first half: one client has that to itself.
    private static func key(_ address: String) -> String {
        guard address.contains(":"), !address.contains(".") else { return address }
        let halves = address.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false).map {
            $0.split(separator: ":")
        }
        guard halves.count == 2 else { return halves[0].prefix(4).joined(separator: ":") }
        let zeros = [Substring](repeating: "0", count: max(0, 8 - halves[0].count - halves[1].count))
        return (halves[0] + zeros + halves[1]).prefix(4).joined(separator: ":")
    }
}
