/// What is said of many measurements of one thing.
enum Statistics {
    /// The value that `share` of the values do not exceed (nearest rank); 0 of none.
    static func percentile<Value: Comparable & Numeric>(_ values: [Value], _ share: Double) -> Value {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    /// The middle value; between two, their mean.
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// A row of percentiles in milliseconds.
struct Percentiles: Codable {
    var p50: Double
    var p95: Double
    var p99: Double
    var max: Double

    init(microseconds: [Int64]) {
        func milliseconds(_ share: Double) -> Double { Double(Statistics.percentile(microseconds, share)) / 1000 }
        p50 = milliseconds(0.5)
        p95 = milliseconds(0.95)
        p99 = milliseconds(0.99)
        max = milliseconds(1)
    }
}
