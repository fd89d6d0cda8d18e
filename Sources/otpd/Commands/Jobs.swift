internal import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres
internal import Queue

/// A phone number on standard input.
enum PhoneLine {
    /// Asks for it where standard input is a terminal; elsewhere it is just read.
    static func read() throws(Failure) -> String {
        if isatty(0) == 1 { Output.prompt("Phone number: ") }
        guard let number = readLine(strippingNewline: true), number.contains(where: { !$0.isWhitespace }) else {
            throw Failure(
                .invalidInput, "Nothing was looked up", because: "standard input has no phone number",
                remedy: "Write it there: echo 0501234567 | otpd jobs list --phone")
        }
        return number
    }
}

/// `otpd jobs`: send jobs, one by one.
struct JobsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "List send jobs, show one, send one again, call one off.",
        discussion: "Listing and showing takes a member of otp_monitor, the others one of otp_admin.",
        subcommands: [List.self, Show.self, Retry.self, Cancel.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the newest send jobs.",
            discussion: """
                  otpd jobs list --failed --limit 50
                  otpd jobs list --subject user-42
                  echo 0501234567 | otpd jobs list --phone
                """)

        @Option(
            help: "Only those in this state: queued, sending, unknown, accepted, failed, expired, limited or canceled.")
        var state: String?

        @Option(help: "Only those of this subject: the backend's own reference of a user.")
        var subject: String?

        @Flag(
            help: """
                Only those to the phone number on standard input, in any spelling. It is never an argument, since arguments \
                are seen by everybody on the machine. Takes a member of otp_admin.
                """)
        var phone = false

        @Flag(help: "Only those that ended unsent or were not delivered, those that failed last first.")
        var failed = false

        @Option(help: "How many, 1 to 1000.")
        var limit = 20

        @OptionGroup var options: TableOptions

        static let states = ["queued", "sending", "unknown", "accepted", "failed", "expired", "limited", "canceled"]

        func validate() throws {
            if let state, !Self.states.contains(state) {
                throw ValidationError("--state \(state) is none; give one of \(Self.states.joined(separator: ", ")).")
            }
            if phone, failed || subject != nil {
                throw ValidationError("--phone goes without \(failed ? "--failed" : "--subject").")
            }
            guard (1...1000).contains(limit) else { throw ValidationError("--limit is \(limit); give 1 to 1000.") }
        }

        func run() throws {
            var filter = ListJobs.Filter()
            filter.state = state
            filter.subject = subject
            filter.isFailed = failed
            filter.limit = limit
            if phone { filter.phoneNumber = try PhoneLine.read() }
            let wanted = filter
            let jobs = try JobsCommand.run("Cannot list the send jobs", needs: phone ? "otp_admin" : "otp_monitor") {
                connection throws(PostgresError) in
                try await ListJobs.run(on: connection, wanted, deadline: .now() + Database.timeout)
            }
            if options.json { return options.print(Table(jobs)) }
            guard !jobs.rows.isEmpty else {
                let isFiltered = state != nil || subject != nil || failed || phone
                return Output.write(isFiltered ? "No send job matches.\n" : "There are no send jobs.\n")
            }
            // What to do is for `show`: beside it the table would be twice as wide.
            Output.write(Table(jobs).without("remedy").text(width: Terminal.size()?.columns))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the whole story of one send job.")

        @Argument(help: "Its send_job_id, as in otpd jobs list.")
        var id: Int64

        @OptionGroup var options: TableOptions

        func run() throws {
            let id = id
            let (job, sends) = try JobsCommand.run("Cannot show the send job", needs: "otp_monitor") {
                connection throws(PostgresError) in
                try await ReadJob.run(on: connection, id, deadline: .now() + Database.timeout)
            }
            guard let row = job.rows.first else {
                throw Failure(
                    .invalidInput, "Cannot show the send job", because: "there is none of the number \(id)",
                    remedy: "See which there are: otpd jobs list")
            }
            if options.json {
                return Output.write("{\n\"job\": \(Table(job).json),\n\"sends\": \(Table(sends).json)}\n")
            }
            let story = JobStory(JobStory.values(job, row), sends: sends)
            for line in story.lines(width: min(Terminal.size()?.columns ?? 80, 120)) {
                Output.write(line.text(colour: Terminal.isColoured) + "\n")
            }
        }
    }

    struct Retry: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Send a job at once that waits for its next attempt, or again that ended unsent, while its code lives.",
            discussion: """
                Of a job that ended a new one is made, with the same code, which counts against the limits. One that Twilio \
                has, or may have, is not sent again.
                """)

        @Argument(help: "Its send_job_id, as in otpd jobs list.")
        var id: Int64

        @OptionGroup var options: TableOptions

        func run() throws {
            let id = id
            let (again, job) = try JobsCommand.run("Nothing was sent again", needs: "otp_admin") {
                connection throws(PostgresError) in
                let again = try await RetryJob.run(on: connection, id, deadline: .now() + Database.timeout)
                return (again, try await ReadJob.run(on: connection, again, deadline: .now() + Database.timeout).sends)
            }
            if options.json { return options.print(Table(job).only("send_job_id", again)) }
            Output.write(
                again == id
                    ? "Send job \(id) is due now.\n"
                    : "Send job \(again) sends the code of \(id) again. See: otpd jobs show \(again)\n")
        }
    }

    struct Cancel: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Call a queued job off; its code stays alive.",
            discussion: "What is at Twilio, or may be, is not recalled. A code dies with otp.cancel, in SQL.")

        @Argument(help: "Its send_job_id, as in otpd jobs list.")
        var id: Int64

        @OptionGroup var options: TableOptions

        func run() throws {
            let id = id
            let job = try JobsCommand.run("Nothing was canceled", needs: "otp_admin") {
                connection throws(PostgresError) in
                try await CancelJob.run(on: connection, id, deadline: .now() + Database.timeout)
                return try await ReadJob.run(on: connection, id, deadline: .now() + Database.timeout).sends
            }
            if options.json { return options.print(Table(job).only("send_job_id", id)) }
            Output.write("Send job \(id) is canceled.\n")
        }
    }

    fileprivate static func run<Value: Sendable>(
        _ what: String, needs role: String,
        _ body: @escaping @Sendable (Connection) async throws(PostgresError) -> Value
    ) throws -> Value {
        let settings = Database.settings(try CommandSettings.database())
        return try onLoop { loop in
            try await Database.with(settings, on: loop, what, needs: role, body)
        }
    }
}
