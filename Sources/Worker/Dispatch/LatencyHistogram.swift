/// Latencies in buckets that grow by about 9%, enough for percentiles in a status row. Pure; 1.6 KB.
struct LatencyHistogram: Sendable {
    /// Eight buckets to each doubling, from 1 µs up to 2^25 µs (34 s).
    private var counts = [UInt32](repeating: 0, count: 200)
    private(set) var total = 0

    /// Counts a latency in microseconds; below 1 counts as 1.
    mutating func add(microseconds: Int64) {
        counts[Self.bucket(UInt64(max(1, microseconds)))] += 1
        total += 1
    }

    /// The latency in milliseconds that a share `q` of all stay within (upper edge of its bucket); nil with none.
    func percentile(_ q: Double) -> Double? {
        guard total > 0 else { return nil }
        var left = max(1, Int((q * Double(total)).rounded(.up)))
        for (index, count) in counts.enumerated() {
            left -= Int(count)
            if left <= 0 { return Self.upperEdge(index) / 1000 }
        }
        return Self.upperEdge(counts.count - 1) / 1000
    }

    /// Forgets all.
    mutating func reset() {
        for index in counts.indices { counts[index] = 0 }
        total = 0
    }

    private static func bucket(_ value: UInt64) -> Int {
        let power = 63 - value.leadingZeroBitCount
        let step = power >= 3 ? Int(value >> UInt64(power - 3)) & 7 : Int(value << UInt64(3 - power)) & 7
        return min(199, power * 8 + step)
    }

    private static func upperEdge(_ bucket: Int) -> Double {
        let base = Double(UInt64(1) << UInt64(bucket / 8))
        return base * (1 + Double(bucket % 8 + 1) / 8)
    }
}
