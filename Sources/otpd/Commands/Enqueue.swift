internal import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres
internal import Queue

/// `otpd enqueue`: requests a code as a backend does. Use it to try otpd out.
struct EnqueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enqueue",
        abstract: "Queue one code for the phone number on standard input.",
        discussion: """
            The phone number comes from standard input, because every user of the machine can read arguments:
              echo 0501234567 | otpd enqueue --subject user-42
            """)

    @Option(help: "The subject: the backend's own reference to a user.")
    var subject: String

    @Option(help: "The region of a phone number without a country code, such as SA.")
    var region: String?

    @Option(help: "The purpose, as in otp.templates.")
    var purpose: String?

    @Option(help: "The locale of the text, as in otp.templates.")
    var locale: String?

    @OptionGroup var options: TableOptions

    func run() throws {
        let settings = try CommandSettings.backend()
        guard let number = readLine(strippingNewline: true), !number.isEmpty else {
            throw Failure(
                .invalidInput, "no code was queued", because: "standard input has no phone number",
                remedy: "Write it to standard input: echo 0501234567 | otpd enqueue --subject SUBJECT")
        }
        let connectionSettings = Database.settings(settings.database, secrets: settings.secrets)
        let (subject, region, purpose, locale) = (subject, region, purpose, locale)
        let enqueued = try onLoop { loop in
            try await Database.with(connectionSettings, on: loop, "no code was queued", needs: "otp_web") {
                connection throws(PostgresError) in
                try await Enqueue.run(
                    on: connection, subject: subject, phoneNumber: number, region: region, purpose: purpose,
                    locale: locale, deadline: .now() + Database.timeout)
            }
        }
        options.print(
            Table(
                columns: ["send_job_id", "verification_id"],
                rows: [[.integer(enqueued.sendJobID), .integer(enqueued.verificationID)]]))
    }
}
