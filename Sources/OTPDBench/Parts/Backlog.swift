internal import EventLoop

/// What a claim costs with few jobs queued and with many.
struct Backlog: Codable {
    struct Claim: Codable {
        var queued: Int
        /// Milliseconds of a claim of 256, with its commit.
        var median: Double
        var slowest: Double
    }

    static let few = 10_000
    static let claims = 20

    var few: Claim
    var many: Claim

    /// 1 when a claim's cost does not grow.
    var ratio: Double { many.median / max(few.median, 0.001) }

    static func measure(_ bench: Measurement) async throws -> Backlog {
        let few = try await measure(bench, queued: Self.few)
        return Backlog(few: few, many: try await measure(bench, queued: bench.plan.backlog))
    }

    private static func measure(_ bench: Measurement, queued: Int) async throws -> Claim {
        try await bench.database.reset()
        // In parts: a statement that takes a minute would leave the first codes little life.
        for first in stride(from: 0, to: queued, by: 25_000) {
            try await bench.database.fill(first: first, count: min(25_000, queued - first))
        }
        let spans = try await QueueAlone.claims(bench.database, count: claims, on: bench.loop)
        return Claim(queued: queued, median: Statistics.median(spans), slowest: spans.max() ?? 0)
    }
}
