internal import Logging

/// One line of the log before it is formatted.
struct LogRecord {
    var time: Timestamp
    var level: Logger.Level
    var message: String
    var metadata: Logger.Metadata = [:]
}

/// Turns a record into one line. Pure.
enum LogFormat: Sendable, Equatable {
    /// For people: `2026-11-22T13:17:59.012Z info started worker=7 address="a b"`.
    case text
    /// For journald, which stores the time itself and reads the level from the prefix: `<6>started worker=7`.
    case journal
    /// For programs: one JSON object a line.
    case json
    /// For programs that read the JSON from journald.
    case journalJSON

    /// The format for the setting. `journal` says whether stderr leads to journald.
    init(_ format: LogSettings.Format, journal: Bool) {
        switch (format, journal) {
        case (.text, false): self = .text
        case (.text, true): self = .journal
        case (.json, false): self = .json
        case (.json, true): self = .journalJSON
        }
    }

    /// The record as one line, with its line break.
    func line(_ record: LogRecord) -> String {
        switch self {
        case .text: "\(record.time) \(record.level.rawValue) \(TextLine.body(record))\n"
        case .journal: "<\(record.level.priority)>\(TextLine.body(record))\n"
        case .json: JSONLine.body(record) + "\n"
        case .journalJSON: "<\(record.level.priority)>\(JSONLine.body(record))\n"
        }
    }
}

extension Logger.Level {
    /// The priority of syslog(3), as in sd-daemon(3).
    fileprivate var priority: Int {
        switch self {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}

private enum TextLine {
    static func body(_ record: LogRecord) -> String {
        var line = SingleLine.escaped(record.message)
        for (key, value) in record.metadata.sorted(by: { $0.key < $1.key }) {
            line += " " + word(key) + "=" + word(string(value))
        }
        return line
    }

    /// Without quotes where no character could be read as the next key, else with quotes.
    private static func word(_ text: String) -> String {
        let bare = text.unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0 != "\\" && !$0.properties.isWhitespace
                && !SingleLine.mustEscape($0)
        }
        return bare && !text.isEmpty ? text : SingleLine.quoted(text)
    }

    private static func string(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): "[" + values.map(string).joined(separator: ", ") + "]"
        case .dictionary(let values):
            "{"
                + values.sorted { $0.key < $1.key }.map { "\($0.key): \(string($0.value))" }.joined(separator: ", ")
                + "}"
        }
    }
}

private enum JSONLine {
    /// The record's own fields. Metadata of the same name gets a `_` after its name.
    private static let reserved: Set<String> = ["time", "level", "message"]

    static func body(_ record: LogRecord) -> String {
        var json = "{\"time\":\"\(record.time)\",\"level\":\"\(record.level.rawValue)\",\"message\":"
        JSONText.append(record.message, to: &json)
        for (key, value) in record.metadata.sorted(by: { $0.key < $1.key }) {
            json += ","
            JSONText.append(reserved.contains(key) ? key + "_" : key, to: &json)
            json += ":"
            append(value, to: &json)
        }
        return json + "}"
    }

    private static func append(_ value: Logger.MetadataValue, to json: inout String) {
        switch value {
        case .string(let text): JSONText.append(text, to: &json)
        case .stringConvertible(let value): append(value.description, of: value, to: &json)
        case .array(let values):
            json += "["
            for (index, value) in values.enumerated() {
                if index > 0 { json += "," }
                append(value, to: &json)
            }
            json += "]"
        case .dictionary(let values):
            json += "{"
            for (index, (key, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { json += "," }
                JSONText.append(key, to: &json)
                json += ":"
                append(value, to: &json)
            }
            json += "}"
        }
    }

    /// Numbers and booleans are written without quotes.
    private static func append(_ text: String, of value: any CustomStringConvertible, to json: inout String) {
        switch value {
        case is any BinaryInteger, is Bool: json += text
        case is any BinaryFloatingPoint where JSONText.isNumber(text): json += text
        default: JSONText.append(text, to: &json)
        }
    }
}
