/// Decides which connection makes room for a new one. Pure: times are given to it.
///
/// A server has a fixed number of places. A new connection always gets one, so that a client or a probe that sends its
/// request at once is always served. When all places are taken, one connection is closed, in this order:
///
/// 1. A connection whose last answer has been sent.
/// 2. A connection that has sent nothing for `ServerLimits.silentMilliseconds`, or the oldest silent one when many are silent.
/// 3. A connection whose request has been incomplete for `ServerLimits.stalledMilliseconds`.
/// 4. A connection between two requests.
/// 5. A connection in the middle of a request beyond the protected ones, or a new silent one.
///
/// Among equals the address with the most connections gives way, and there the oldest connection. The protected ones of
/// the last step are those with the oldest requests: three quarters of the places at most, and half of the places for one
/// address. A trusted connection counts before the others and against no address's half.
struct ConnectionPlaces: Sendable {
    /// The activity of a connection.
    enum Activity: Sendable {
        /// It has sent nothing yet.
        case silent
        /// A request has begun and is incomplete.
        case requesting
        /// The request is complete, and the server owes the answer.
        case answering
        /// It is open for a further request.
        case idle
        /// Its last answer has been written.
        case done
    }

    private struct Connection {
        var client: String
        var activity: Activity
        /// When this activity began, in milliseconds. A request keeps its beginning while its answer is awaited.
        var since: Int64
        var isTrusted = false
    }

    private let places: Int
    private let silentMilliseconds: Int64
    private let stalledMilliseconds: Int64
    private var connections: [Int: Connection] = [:]
    /// How many connections each address has.
    private var held: [String: Int] = [:]
    private var silent = 0

    init(_ limits: ServerLimits) {
        places = max(1, limits.connections)
        silentMilliseconds = limits.silentMilliseconds
        stalledMilliseconds = limits.stalledMilliseconds
    }

    /// Places that protected connections leave to the others.
    private var reserve: Int { max(1, places / 4) }

    var count: Int { connections.count }

    /// Admits a connection.
    ///
    /// - Returns: the connection to close for it.
    mutating func open(_ id: Int, client: String, now: Int64) -> Int? {
        let victim = count < places ? nil : victim(now)
        if let victim { close(victim) }
        connections[id] = Connection(client: client, activity: .silent, since: now)
        held[client, default: 0] += 1
        silent += 1
        return victim
    }

    /// Records that a connection has changed its activity.
    mutating func set(_ id: Int, _ activity: Activity, now: Int64) {
        guard let connection = connections[id] else { return }
        if connection.activity == .silent { silent -= 1 }
        if activity == .silent { silent += 1 }
        connections[id]?.activity = activity
        if activity != .answering { connections[id]?.since = now }
    }

    /// Records that the client has proven its identity, with a signature for instance.
    mutating func trust(_ id: Int) { connections[id]?.isTrusted = true }

    /// Records that the connection has ended.
    mutating func close(_ id: Int) {
        guard let connection = connections.removeValue(forKey: id) else { return }
        if connection.activity == .silent { silent -= 1 }
        let rest = (held[connection.client] ?? 1) - 1
        held[connection.client] = rest == 0 ? nil : rest
    }

    private enum Rank: Int { case done, silent, stalled, idle, busy }

    private func rank(_ connection: Connection, _ now: Int64) -> Rank {
        let age = now - connection.since
        switch connection.activity {
        case .done: return .done
        case .silent: return silent > reserve || age >= silentMilliseconds ? .silent : .busy
        case .requesting: return connection.isTrusted || age < stalledMilliseconds ? .busy : .stalled
        case .idle: return .idle
        case .answering: return .busy
        }
    }

    private func victim(_ now: Int64) -> Int? {
        let ranked = connections.map { (id: $0.key, connection: $0.value, rank: rank($0.value, now)) }
        guard let lowest = ranked.map(\.rank.rawValue).min() else { return nil }
        var candidates = ranked.filter { $0.rank.rawValue == lowest }.map { (id: $0.id, connection: $0.connection) }
        if lowest == Rank.busy.rawValue {
            let protected = protectedConnections()
            candidates = candidates.filter { !protected.contains($0.id) }
        }
        return candidates.min { left, right in
            let (leftHeld, rightHeld) = (held[left.connection.client] ?? 0, held[right.connection.client] ?? 0)
            return (rightHeld, left.connection.since, left.id) < (leftHeld, right.connection.since, right.id)
        }?.id
    }

    /// The connections in the middle of a request that a new connection cannot displace.
    private func protectedConnections() -> Set<Int> {
        let busy = connections.filter { $0.value.activity == .requesting || $0.value.activity == .answering }.sorted {
            ($0.value.isTrusted ? 0 : 1, $0.value.since, Int64($0.key))
                < ($1.value.isTrusted ? 0 : 1, $1.value.since, Int64($1.key))
        }
        var protected: Set<Int> = []
        var ofClient: [String: Int] = [:]
        for (id, connection) in busy where protected.count < places - reserve {
            if !connection.isTrusted {
                guard ofClient[connection.client, default: 0] < max(1, places / 2) else { continue }
                ofClient[connection.client, default: 0] += 1
            }
            protected.insert(id)
        }
        return protected
    }
}
