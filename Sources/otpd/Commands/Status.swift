internal import ArgumentParser
internal import EventLoop
internal import Postgres
internal import Queue

/// `otpd status`: shows the queue, the workers, the pauses, the last failures and the last sends.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show whether otpd works, and the queue, the workers, the pauses and the last sends.",
        discussion: """
            If something is wrong, the first lines say what to do. The same figures stand in otp.queue_status, \
            otp.worker_status, otp.pause_status, otp.failures and otp.delivery_status. With --watch it fills the \
            terminal until you type q or Ctrl-C. In a pipe or a file, --watch writes one line each time.
            """)

    @Flag(
        name: .long,
        help: """
            Exit with 69 if no worker is alive, if anything is paused, or if a job has been due for a minute.
            """)
    var check = false

    @Flag(name: .long, help: "Refresh the status until you stop it.")
    var watch = false

    @Option(help: "Seconds between two refreshes of --watch, 0.5 to 3600. The default is 2.")
    var interval: Double?

    @OptionGroup var options: TableOptions

    func validate() throws {
        if watch, check || options.json {
            throw ValidationError("--watch cannot be used with \(check ? "--check" : "--json").")
        }
        if let interval {
            guard watch else { throw ValidationError("--interval needs --watch.") }
            guard (0.5...3600).contains(interval) else {
                throw ValidationError("--interval \(interval) is out of range. Use a number from 0.5 to 3600.")
            }
        }
    }

    func run() throws {
        // Signals must be blocked before the loop's thread starts.
        if watch { Signals.block(StatusWatch.signals) }
        let settings = Database.settings(try CommandSettings.database())
        if watch {
            let interval = interval ?? 2
            return try onLoop { loop in
                try await StatusWatch(settings, interval: interval, on: loop).run()
            }
        }
        let (database, parts) = try onLoop { loop in
            try await Database.with(settings, on: loop, "cannot read the status", needs: "otp_monitor") {
                connection throws(PostgresError) in
                (
                    "\(await connection.target)",
                    try await ReadStatus.run(on: connection, deadline: .now() + Database.timeout)
                )
            }
        }
        let snapshot = StatusSnapshot(parts)
        if options.json {
            Output.write(Self.json(parts))
        } else {
            var view = StatusView(snapshot: snapshot, database: database)
            view.history.add(snapshot)
            // Longer lines are hard to read. A pipe has no width.
            let width = min(Terminal.size()?.columns ?? 80, 120)
            for line in view.lines(width: width) { Output.write(line.text(colour: Terminal.isColoured) + "\n") }
        }
        let verdict = StatusVerdict.of(snapshot)
        guard check, verdict.failsCheck else { return }
        throw Failure(
            .unavailable, "the check failed",
            because: [verdict.headline, verdict.detail].compactMap { $0 }
                .joined(separator: " "), remedy: verdict.remedy)
    }

    /// One JSON object with a member for each relation.
    private static func json(_ parts: [ReadStatus.Part]) -> String {
        let members = parts.filter { $0.name != "clock" && $0.name != "outcome_counts" }.map { part in
            "\"\(part.name)\": \(Table(part).json)"
        }
        return "{\n" + members.joined(separator: ",\n") + "}\n"
    }
}

extension Table {
    /// The rows of a relation.
    init(_ part: ReadStatus.Part) {
        self.init(columns: part.columns)
        for row in part.rows {
            append(
                row.enumerated().map { column, value in
                    guard let value else { return .null }
                    if part.isBoolean[column] { return .boolean(value == "t") }
                    return part.isNumeric[column] ? .number(value) : .text(value)
                })
        }
    }
}
