internal import Glibc

/// Summaries of many measurements of one thing.
enum Statistics {
    /// The value that `share` of the values do not exceed (nearest rank); 0 if there are none.
    static func percentile<Value: Comparable & Numeric>(_ values: [Value], _ share: Double) -> Value {
        percentile(sorted: values.sorted(), share)
    }

    /// The same, for sorted values.
    static func percentile<Value: Comparable & Numeric>(sorted: [Value], _ share: Double) -> Value {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    /// The middle value, or the mean of the two middle ones.
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// Percentiles in milliseconds.
struct Percentiles: Codable {
    /// `share` of the values do not exceed `milliseconds`.
    struct Point: Codable, Equatable {
        var share: Double
        var milliseconds: Double
    }

    var p50: Double
    var p95: Double
    var p99: Double
    var max: Double
    /// The whole distribution, denser towards its slow end: four points for each halving of the rest.
    var curve: [Point]

    init(microseconds: [Int64]) {
        let sorted = microseconds.sorted()
        func milliseconds(_ share: Double) -> Double { Double(Statistics.percentile(sorted: sorted, share)) / 1000 }
        p50 = milliseconds(0.5)
        p95 = milliseconds(0.95)
        p99 = milliseconds(0.99)
        max = milliseconds(1)
        curve = []
        for quarter in 0... {
            let slower = exp2(-Double(quarter) / 4)
            guard slower * Double(sorted.count) >= 1 else { break }
            curve.append(Point(share: 1 - slower, milliseconds: milliseconds(1 - slower)))
        }
    }
}
