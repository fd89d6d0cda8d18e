/// The last minutes in steps of five seconds of the database's clock. The database counts the sends. Only the refreshes
/// know the latency.
struct StatusHistory: Sendable {
    /// The highest p95 of a step, in ms.
    private(set) var latency: [Int: Double] = [:]
    private(set) var sent: [Int: Int] = [:]
    /// The unfinished step.
    private(set) var current = 0
    /// The first known step. Earlier steps are unknown, not 0.
    private var first: Int?

    /// How many steps are kept: 20 minutes, as many as `ReadStatus` reads.
    static let length = 240
    /// Seconds in a step.
    static let seconds = 5

    mutating func add(_ snapshot: StatusSnapshot) {
        current = Int(snapshot.now) / Self.seconds
        if let latency = snapshot.queue.latency { self.latency[current] = max(self.latency[current] ?? 0, latency.p95) }
        sent = [:]
        for step in snapshot.steps { sent[step.step] = step.accepted }
        first = min(first ?? current, snapshot.steps.first?.step ?? current)
        latency = latency.filter { $0.key > current - Self.length }
    }

    /// Sends per second of the last `count` whole steps, the oldest first. Unknown steps are nil.
    func rates(_ count: Int) -> [Double?] {
        (0..<max(0, count)).map { index in
            let step = current - count + index
            guard let first, step >= first else { return nil }
            return Double(sent[step] ?? 0) / Double(Self.seconds)
        }
    }

    /// Latencies of the last `count` steps with the unfinished one. Unknown steps are nil.
    func latencies(_ count: Int) -> [Double?] {
        (0..<max(0, count)).map { latency[current - count + 1 + $0] }
    }
}

/// Numbers as a line of bars.
enum Sparkline {
    private static let bars: [Character] = ["▂", "▃", "▄", "▅", "▆", "▇", "█"]

    /// One column for each value, between 0 (`▁`) and the largest value (`█`). An unknown value is a space.
    static func text(_ values: [Double?]) -> String {
        let largest = values.reduce(0) { max($0, $1 ?? 0) }
        return String(
            values.map { value -> Character in
                guard let value else { return " " }
                guard value > 0, largest > 0 else { return "▁" }
                return bars[min(bars.count - 1, Int(value / largest * Double(bars.count)))]
            })
    }
}
