internal import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres
internal import Queue

/// `otpd enqueue`: asks for a code to be sent, as a backend would. For trying things out.
struct EnqueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enqueue",
        abstract: "Queue one code for the phone number on standard input.",
        discussion: """
            The number comes from standard input, since arguments are seen by everybody on the machine:
              echo 0501234567 | otpd enqueue --subject user-42
            """)

    @Option(help: "Whose verification it is: the backend's own reference of a user.")
    var subject: String

    @Option(help: "The region that a number without a country code belongs to, such as SA.")
    var region: String?

    @Option(help: "The purpose, as in otp.templates.")
    var purpose: String?

    @Option(help: "The language of the text, as in otp.templates.")
    var locale: String?

    @OptionGroup var options: TableOptions

    func run() throws {
        let settings = try CommandSettings.webTier()
        guard let number = readLine(strippingNewline: true), !number.isEmpty else {
            throw Failure(
                .invalidInput, "Nothing was queued", because: "standard input has no phone number",
                remedy: "Write it there: echo 0501234567 | otpd enqueue --subject …")
        }
        let connectionSettings = Database.settings(settings.database, secrets: settings.secrets)
        let (subject, region, purpose, locale) = (subject, region, purpose, locale)
        let enqueued = try onLoop { loop in
            try await Database.with(connectionSettings, on: loop, "Nothing was queued", needs: "otp_web") {
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
