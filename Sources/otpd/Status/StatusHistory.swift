/// The last minutes, in steps of five seconds of the database's clock: what ended, which the database counts, and the
/// latency, which is known from the refreshes alone.
struct StatusHistory: Sendable {
    /// p95 in ms, the highest of a step.
    private(set) var latency: [Int: Double] = [:]
    private(set) var sent: [Int: Int] = [:]
    /// The step that goes on.
    private(set) var current = 0
    /// The first step that was seen whole or in part: what came before it is not known to have been 0.
    private var first: Int?

    /// How many steps are kept: 20 minutes, as `ReadStatus` reads them.
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

    /// Sends per second of the last `count` whole steps, the oldest first; nil before anything was known.
    func rates(_ count: Int) -> [Double?] {
        (0..<max(0, count)).map { index in
            let step = current - count + index
            guard let first, step >= first else { return nil }
            return Double(sent[step] ?? 0) / Double(Self.seconds)
        }
    }

    /// Latencies of the last `count` steps, the one that goes on included; nil where none was seen.
    func latencies(_ count: Int) -> [Double?] {
        (0..<max(0, count)).map { latency[current - count + 1 + $0] }
    }
}

/// Numbers as a line of bars.
enum Sparkline {
    private static let bars: [Character] = ["▂", "▃", "▄", "▅", "▆", "▇", "█"]

    /// A column each, between 0 (`▁`) and the largest (`█`); a space where nothing is known.
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
