/// Labels on the left, medians on the right, and the spread of the runs beside them.
struct Table {
    private(set) var text = ""
    private static let width = 48

    mutating func line(_ words: String) { text += words + "\n" }

    mutating func section(_ title: String) { text += "\n\(title)\n" }

    mutating func note(_ words: String) { text += "  \(words)\n" }

    /// The median of `values`, and, if there are several, the least and the greatest.
    mutating func row(_ label: String, _ values: [Double], digits: Int = 0) {
        let median = Self.number(Statistics.median(values), digits)
        text += "  " + label + String(repeating: " ", count: max(1, Self.width - label.count))
        text += String(repeating: " ", count: max(0, 9 - median.count)) + median
        if values.count > 1, let least = values.min(), let greatest = values.max() {
            text += "   (\(Self.number(least, digits)) – \(Self.number(greatest, digits)))"
        }
        text += "\n"
    }

    /// A decimal number with `digits` digits after the point.
    static func number(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "—" }
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let (whole, rest) = abs(scaled).quotientAndRemainder(dividingBy: scale)
        let sign = scaled < 0 ? "-" : ""
        guard digits > 0 else { return sign + String(whole) }
        let decimals = String(rest)
        return sign + String(whole) + "." + String(repeating: "0", count: digits - decimals.count) + decimals
    }
}
