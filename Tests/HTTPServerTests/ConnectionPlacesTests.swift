import Testing

@testable import HTTPServer

/// Which connection makes room for a new one, as rows of connections with eight places.
struct ConnectionPlacesTests {
    /// A connection of a row: its client, and its activity and since when.
    struct Connection: Sendable {
        var client: String
        var activity: ConnectionPlaces.Activity
        var since: Int64
        var isTrusted: Bool
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var connections: [Connection]
        /// The index of the connection that is closed; nil for none.
        var closed: Int?
        var client = "new"
        var testDescription: String { name }
    }

    private static func some(
        _ count: Int, _ activity: ConnectionPlaces.Activity, _ client: String = "a", since: Int64 = 9_500,
        isTrusted: Bool = false
    ) -> [Connection] {
        (0..<count).map {
            Connection(client: client, activity: activity, since: since + Int64($0), isTrusted: isTrusted)
        }
    }

    /// The time is always 10,000 ms.
    private static let rows = [
        Row(name: "a place is free", connections: some(7, .silent), closed: nil),
        Row(name: "all are silent: the oldest", connections: some(8, .silent), closed: 0),
        Row(
            name: "all are silent: of the address that has the most",
            connections: some(3, .silent, "b", since: 100) + some(5, .silent), closed: 3),
        Row(
            name: "one that has ended goes before a silent one",
            connections: some(6, .silent) + some(2, .done, since: 9_900), closed: 6),
        Row(
            name: "a silent one goes before an idle one",
            connections: some(7, .idle, since: 0) + some(1, .silent, since: 5_000), closed: 7),
        Row(
            name: "a new silent one stays, an idle one goes",
            connections: some(7, .idle, since: 0) + some(1, .silent), closed: 0),
        Row(
            name: "a stalled request goes before an idle connection",
            connections: some(7, .idle, since: 0) + some(1, .requesting, since: 7_000), closed: 7),
        Row(
            name: "a young request stays, an idle one goes",
            connections: some(1, .requesting, since: 8_500) + some(7, .idle), closed: 1),
        Row(
            name: "a trusted one's slow request stays",
            connections: some(1, .requesting, since: 0, isTrusted: true) + some(7, .idle), closed: 1),
        Row(
            name: "an answer that is awaited for long stays",
            connections: some(1, .answering, since: 0) + some(7, .idle), closed: 1),
        Row(
            name: "all are requests of one address: the oldest beyond its four",
            connections: some(8, .requesting), closed: 4),
        Row(
            name: "all are requests of two addresses: six are protected",
            connections: some(4, .requesting) + some(4, .requesting, "b", since: 9_600), closed: 6),
        Row(
            name: "all are requests: of the address beyond its share, in any order of arrival",
            connections: some(6, .requesting) + some(2, .requesting, "b", since: 9_900), closed: 4),
        Row(
            name: "trusted requests are protected before older ones",
            connections: some(4, .requesting, since: 9_000) + some(4, .requesting, "b", isTrusted: true), closed: 2),
        Row(
            name: "trusted requests have no share",
            connections: some(8, .requesting, isTrusted: true), closed: 6),
        Row(
            name: "requests and new silent ones: beyond the protected the oldest",
            connections: some(4, .requesting, since: 9_400) + some(2, .requesting, "b")
                + some(2, .silent, "c", since: 9_800), closed: 6),
    ]

    @Test(arguments: rows)
    func whichMakesRoom(row: Row) {
        var places = ConnectionPlaces(places: 8)
        for (index, connection) in row.connections.enumerated() {
            #expect(places.open(index, client: connection.client, now: connection.since) == nil)
            switch connection.activity {
            case .silent: break
            case .answering:
                places.set(index, .requesting, now: connection.since)
                places.set(index, .answering, now: 9_990)
            case .requesting, .idle, .done: places.set(index, connection.activity, now: connection.since)
            }
            if connection.isTrusted { places.trust(index) }
        }
        #expect(places.open(100, client: row.client, now: 10_000) == row.closed)
        #expect(places.count == min(8, row.connections.count + 1))
    }

    /// After any steps: never more connections than places, the new one always gets in, and protected ones stay.
    @Test(arguments: 0..<20)
    func anyWalk(seed: UInt64) {
        var random = seed &* 2_654_435_761 &+ 1
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }
        var places = ConnectionPlaces(places: 12)
        var open: Set<Int> = []
        for id in 0..<2_000 {
            let now = Int64(id) * Int64(next(300))
            if let closed = places.open(id, client: "\(next(4))", now: now) {
                #expect(open.remove(closed) != nil)
            }
            open.insert(id)
            #expect(places.count == open.count && open.count <= 12)
            for other in open.sorted() {
                switch next(8) {
                case 0: places.set(other, .requesting, now: now)
                case 1: places.set(other, .answering, now: now)
                case 2: places.set(other, .idle, now: now)
                case 3: places.set(other, .done, now: now)
                case 4:
                    places.close(other)
                    open.remove(other)
                case 5: places.trust(other)
                default: break
                }
            }
        }
    }

    @Test(arguments: [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", true), ("2001:db8:1:2::", "2001:db8:1:3::", false),
        ("::1", "::2", true), ("10.0.0.1", "10.0.0.2", false), ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false),
    ])
    func addresses(one: String, other: String, isSame: Bool) {
        #expect((ClientAddress.key(one) == ClientAddress.key(other)) == isSame)
    }
}

extension ConnectionPlaces {
    fileprivate init(places: Int) {
        var limits = ServerLimits()
        limits.connections = places
        self.init(limits)
    }
}
