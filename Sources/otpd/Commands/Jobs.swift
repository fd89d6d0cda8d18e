internal import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres
internal import Queue

/// A phone number on standard input.
enum PhoneLine {
    /// Reads the number. On a terminal it prompts first.
    static func read() throws(Failure) -> String {
        if isatty(0) == 1 { Output.prompt("Phone number: ") }
        guard let number = readLine(strippingNewline: true), number.contains(where: { !$0.isWhitespace }) else {
            throw Failure(
                .invalidInput, "cannot list the send jobs", because: "standard input has no phone number",
                remedy: "Write it to standard input: echo 0501234567 | otpd jobs list --phone")
        }
        return number
    }
}

/// `otpd jobs`: lists, shows, retries and cancels send jobs.
struct JobsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "List, show, retry and cancel send jobs.",
        discussion: """
            Connect as a member of otp_monitor to list and show jobs, and as a member of otp_admin to retry and cancel \
            them.
            """,
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
            help: """
                Only jobs in this state: queued, sending, unknown, accepted, failed, expired, limited, canceled or test.
                """)
        var state: String?

        @Option(help: "Only jobs of this subject: the backend's own reference to a user.")
        var subject: String?

        @Flag(
            help: """
                Only jobs to the phone number on standard input, in any spelling. The number is never an argument, \
                because every user of the machine can read arguments. Connect as a member of otp_admin.
                """)
        var phone = false

        @Flag(help: "Only jobs that ended without a send, or whose message was not delivered. The latest come first.")
        var failed = false

        @Option(help: "How many jobs, 1 to 1000.")
        var limit = 20

        @OptionGroup var options: TableOptions

        static let states = [
            "queued", "sending", "unknown", "accepted", "failed", "expired", "limited", "canceled", "test",
        ]

        func validate() throws {
            if let state, !Self.states.contains(state) {
                throw ValidationError(
                    "--state \(state) is unknown. Use one of: \(Self.states.joined(separator: ", ")).")
            }
            if phone, failed || subject != nil {
                throw ValidationError("--phone cannot be used with \(failed ? "--failed" : "--subject").")
            }
            guard (1...1000).contains(limit) else {
                throw ValidationError("--limit \(limit) is out of range. Use a number from 1 to 1000.")
            }
        }

        func run() throws {
            var filter = ListJobs.Filter()
            filter.state = state
            filter.subject = subject
            filter.isFailed = failed
            filter.limit = limit
            if phone { filter.phoneNumber = try PhoneLine.read() }
            let wanted = filter
            let jobs = try JobsCommand.run("cannot list the send jobs", needs: phone ? "otp_admin" : "otp_monitor") {
                connection throws(PostgresError) in
                try await ListJobs.run(on: connection, wanted, deadline: .now() + Database.timeout)
            }
            if options.json { return options.print(Table(jobs)) }
            guard !jobs.rows.isEmpty else {
                let isFiltered = state != nil || subject != nil || failed || phone
                return Output.write(isFiltered ? "No send job matches.\n" : "There are no send jobs.\n")
            }
            // `otpd jobs show` prints the remedy. Here it would make the table twice as wide.
            Output.write(Table(jobs).without("remedy").text(width: Terminal.size()?.columns))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show everything that is known of one send job.")

        @Argument(help: "The job's send_job_id, as in otpd jobs list.")
        var id: Int64

        @OptionGroup var options: TableOptions

        func run() throws {
            let id = id
            let (job, sends) = try JobsCommand.run("cannot show the send job", needs: "otp_monitor") {
                connection throws(PostgresError) in
                try await ReadJob.run(on: connection, id, deadline: .now() + Database.timeout)
            }
            guard let row = job.rows.first else {
                throw Failure(
                    .invalidInput, "cannot show the send job", because: "there is no send job \(id)",
                    remedy: "List the send jobs: otpd jobs list")
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
            abstract: "Send the code of a job again, or make a waiting job due at once.",
            discussion: """
                The code must be live. If the job has ended without a send, otpd makes a new job with the same code, \
                and the limits count it. A job that Twilio has, or may have, is not sent again.
                """)

        @Argument(help: "The job's send_job_id, as in otpd jobs list.")
        var id: Int64

        @OptionGroup var options: TableOptions

        func run() throws {
            let id = id
            let (again, job) = try JobsCommand.run("cannot retry the send job", needs: "otp_admin") {
                connection throws(PostgresError) in
                let again = try await RetryJob.run(on: connection, id, deadline: .now() + Database.timeout)
                return (again, try await ReadJob.run(on: connection, again, deadline: .now() + Database.timeout).sends)
            }
            if options.json { return options.print(Table(job).only("send_job_id", again)) }
            Output.write(
                again == id
                    ? "Send job \(id) is due now.\n"
                    : "Job \(again) sends the code of job \(id) again. See: otpd jobs show \(again)\n")
        }
    }

    struct Cancel: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Cancel a queued job. Its code stays live.",
            discussion: """
                A message that Twilio has, or may have, is not recalled. To cancel the code as well, call otp.cancel in \
                SQL.
                """)

        @Argument(help: "The job's send_job_id, as in otpd jobs list.")
        var id: Int64

        @OptionGroup var options: TableOptions

        func run() throws {
            let id = id
            let job = try JobsCommand.run("cannot cancel the send job", needs: "otp_admin") {
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
