internal import EventLoop
internal import Glibc
internal import Postgres

/// A backend: one transaction per code at a given rate, whether or not earlier ones have ended (an open loop).
///
/// Transactions begin at their intended times, spread over eight connections in turn. If one has to wait for its
/// connection, `intendedAt` shows it.
struct Requests {
    struct Sent {
        var job: Int
        /// When the transaction was meant to begin, in microseconds since the Unix epoch.
        var intendedAt: Int64
        /// The time at which its COMMIT had returned.
        var committedAt: Int64
    }

    private static let statement = Statement(
        "bench_request", "SELECT otp.request('bench:' || $1, '+96650' || lpad($1::text, 7, '0'))", [.int4])
    private static let connections = 8

    /// Requests the jobs 0 to `count` - 1, at `perSecond` jobs a second.
    static func run(
        _ settings: ConnectionSettings, count: Int, perSecond: Int, on loop: EventLoop
    ) async throws -> [Sent] {
        var lanes: [Connection] = []
        for _ in 0..<connections {
            lanes.append(try await Connection.open(settings, on: loop, deadline: .now() + .seconds(10)))
        }
        let interval = 1e9 / Double(perSecond)
        let start = Instant.now() + .milliseconds(50)
        let startOnWall = WallClock.now() + 50_000
        let sent = try await withThrowingTaskGroup(of: [Sent].self) { group in
            for (lane, connection) in lanes.enumerated() {
                group.addTask {
                    var sent: [Sent] = []
                    for job in stride(from: lane, to: count, by: connections) {
                        let offset = Int64(Double(job) * interval)
                        try await loop.sleep(until: start + Instant.Duration(nanoseconds: offset))
                        var parameters = Parameters()
                        parameters.append(Int32(job))
                        _ = try await connection.execute(statement, parameters, deadline: .now() + .seconds(10))
                        sent.append(
                            Sent(job: job, intendedAt: startOnWall + offset / 1000, committedAt: WallClock.now()))
                    }
                    return sent
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        for connection in lanes { await connection.close() }
        return sent
    }
}
