internal import Glibc
internal import Logging
internal import Runtime

/// The log of otpd on stderr: one line for each record.
struct StderrLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let format: LogFormat
    private let writer: LineWriter
    private let now: @Sendable () -> Timestamp

    init(
        level: Logger.Level, format: LogFormat, writer: LineWriter,
        now: @escaping @Sendable () -> Timestamp = Timestamp.now
    ) {
        logLevel = level
        self.format = format
        self.writer = writer
        self.now = now
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // Later values replace earlier ones: the event's own metadata comes last.
        var all = metadataProvider?.get() ?? [:]
        all.merge(metadata) { $1 }
        if let error = event.error { all[LogKeys.error] = .string(String(describing: error)) }
        if let own = event.metadata { all.merge(own) { $1 } }
        let record = LogRecord(time: now(), level: event.level, message: "\(event.message)", metadata: all)
        writer.write(format.line(record)) { lost, reason in
            format.line(
                LogRecord(
                    time: record.time, level: .warning, message: "log lines could not be written and are lost",
                    metadata: [LogKeys.count: .stringConvertible(lost), LogKeys.reason: .string(reason)]))
        }
    }
}

extension LogSettings {
    /// A logger to stderr with these settings. It brings its own handler, so that tests can use others in one process.
    func logger(label: String, environment: [String: String]) -> Logger {
        let format = LogFormat(format, journal: JournalStream.isStandardError(environment))
        let handler = StderrLogHandler(level: level, format: format, writer: LineWriter(descriptor: 2))
        return Logger(label: label) { _ in handler }
    }
}

/// Finds out whether stderr goes to journald.
enum JournalStream {
    /// `JOURNAL_STREAM` names the device and the inode of the stream that systemd connected (systemd.exec(5)). Child
    /// processes inherit the variable even if their stderr goes elsewhere, so both numbers are compared with stderr's.
    static func isStandardError(_ environment: [String: String]) -> Bool {
        guard let stream = environment["JOURNAL_STREAM"] else { return false }
        var status = stat()
        guard unsafe fstat(2, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }
}
