internal import ArgumentParser
internal import EventLoop
internal import Postgres
internal import Queue

/// `otpd status`: the queue, the workers, the pauses, the last failures and sends.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract:
            "Show whether it works, what is wrong and what to do; the queue, the workers, the pauses, the last sends.",
        discussion: """
            The same as otp.queue_status, otp.worker_status, otp.pause_status, otp.failures and otp.delivery_status show in \
            SQL. With --watch it takes the whole terminal until q or Ctrl-C; into a pipe or a file it writes a line each time.
            """)

    @Flag(
        name: .long,
        help: """
            Exit with 69 when no worker is alive, anything is paused, or a job has been due for a minute with a worker \
            alive.
            """)
    var check = false

    @Flag(name: .long, help: "Show it again and again.")
    var watch = false

    @Option(help: "Seconds between two looks of --watch: 0.5 to 3600.")
    var interval: Double?

    @OptionGroup var options: TableOptions

    func validate() throws {
        if watch, check || options.json {
            throw ValidationError("--watch goes alone: leave out \(check ? "--check" : "--json").")
        }
        if let interval {
            guard watch else { throw ValidationError("--interval is for --watch.") }
            guard (0.5...3600).contains(interval) else {
                throw ValidationError("--interval is \(interval); give 0.5 to 3600 seconds.")
            }
        }
    }

    func run() throws {
        // Before the loop's thread is started.
        if watch { Signals.block(StatusWatch.signals) }
        let settings = Database.settings(try CommandSettings.database())
        if watch {
            let interval = interval ?? 2
            return try onLoop { loop in
                try await StatusWatch(settings, interval: interval, on: loop).run()
            }
        }
        let (database, parts) = try onLoop { loop in
            try await Database.with(settings, on: loop, "Cannot read the status", needs: "otp_monitor") {
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
            // A line of text is hard to read beyond this, and a pipe knows no width.
            let width = min(Terminal.size()?.columns ?? 80, 120)
            for line in view.lines(width: width) { Output.write(line.text(colour: Terminal.isColoured) + "\n") }
        }
        let verdict = StatusVerdict.of(snapshot)
        guard check, verdict.failsCheck else { return }
        throw Failure(
            .unavailable, "The check failed",
            because: [verdict.headline, verdict.detail].compactMap { $0 }
                .joined(separator: " "), remedy: verdict.remedy)
    }

    /// One object with a member per relation.
    private static func json(_ parts: [ReadStatus.Part]) -> String {
        let members = parts.filter { $0.name != "clock" && $0.name != "outcome_counts" }.map { part in
            "\"\(part.name)\": \(Table(part).json)"
        }
        return "{\n" + members.joined(separator: ",\n") + "}\n"
    }
}

extension Table {
    /// A relation's rows, as they were read.
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
