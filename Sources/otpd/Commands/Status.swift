internal import ArgumentParser
internal import EventLoop
internal import Postgres
internal import Queue

/// `otpd status`: the queue, the workers, the pauses and the last sends.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the queue, the workers, the pauses and the last sends.",
        discussion:
            "The same as otp.queue_status, otp.worker_status, otp.pause_status and otp.delivery_status show in SQL.")

    @Flag(name: .long, help: "Exit with 69 when no worker is alive or one is paused.")
    var check = false

    @OptionGroup var options: TableOptions

    func run() throws {
        let settings = Database.settings(try CommandSettings.database())
        let status = try onLoop { loop in
            try await Database.with(settings, on: loop, "Cannot read the status") { connection throws(PostgresError) in
                try await ReadStatus.run(on: connection, deadline: .now() + Database.patience)
            }
        }
        if options.json {
            Output.write(Self.json(status))
        } else {
            for part in status.parts { Output.write("\(part.title)\n\(Table(part).text)\n") }
        }
        guard check else { return }
        guard status.workersAlive > 0 else {
            throw Failure(
                .unavailable, "No worker is alive", because: "no heartbeat in the last 30 seconds",
                remedy: "Start one: systemctl start otpd, or otpd run")
        }
        if let pause = status.pause {
            throw Failure(.unavailable, "A worker is paused", because: pause.reason, remedy: pause.remedy)
        }
    }

    /// One object with a member per relation.
    private static func json(_ status: ReadStatus.Status) -> String {
        let members = status.parts.map { part in "\"\(part.name)\": \(Table(part).json)" }
        return "{\n" + members.joined(separator: ",\n") + "}\n"
    }
}

extension Table {
    /// A relation's rows, as they were read.
    init(_ part: ReadStatus.Part) {
        self.init(columns: part.columns)
        for row in part.rows {
            append(
                zip(row, part.isNumeric).map { value, isNumeric in
                    value.map { isNumeric ? .number($0) : .text($0) } ?? .null
                })
        }
    }
}
