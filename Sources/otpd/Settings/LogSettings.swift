internal import Logging

/// The level and the format of the log.
struct LogSettings: Equatable, Sendable {
    let level: Logger.Level
    let format: Format

    enum Format: String, CaseIterable, Sendable {
        case text, json
    }

    static let standard = LogSettings(level: .info, format: .text)

    static func read(_ reader: inout SettingsReader) -> LogSettings {
        LogSettings(
            level: reader.parse(.logLevel, Choice.parse) ?? standard.level,
            format: reader.parse(.logFormat, Choice.parse) ?? standard.format)
    }
}
