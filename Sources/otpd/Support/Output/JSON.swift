/// A JSON value that can be written as text. Numbers that JSON does not have (NaN, infinities) become null.
enum JSON: Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    /// A number in the database's own spelling.
    case number(String)
    case string(String)
    case array([JSON])
    case object([(name: String, value: JSON)])

    static func text(_ text: String?) -> JSON { text.map { .string($0) } ?? .null }
    static func optional(_ number: Int?) -> JSON { number.map { .int($0) } ?? .null }
    static func optional(_ number: Double?) -> JSON { number.map { .double($0) } ?? .null }

    /// The same value for a page that shows its strings. Characters that reorder or hide text are escaped.
    var shown: JSON {
        switch self {
        case .null, .bool, .int, .double, .number: self
        case .string(let text): .string(SingleLine.escaped(text))
        case .array(let values): .array(values.map(\.shown))
        case .object(let members): .object(members.map { ($0.name, $0.value.shown) })
        }
    }

    /// The value as text, on one line.
    var text: String {
        var text = ""
        append(to: &text)
        return text
    }

    private func append(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += "\(value)"
        case .double(let value):
            guard value.isFinite else {
                text += "null"
                return
            }
            text += value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
        case .number(let value): text += JSONText.isNumber(value) ? value : "null"
        case .string(let value): JSONText.append(value, to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.append(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                JSONText.append(member.name, to: &text)
                text += ":"
                member.value.append(to: &text)
            }
            text += "}"
        }
    }
}
