internal import ArgumentParser
internal import EventLoop
internal import Postgres
internal import Queue

/// `otpd verify`: verifies a code as a backend does. Use it to try otpd out.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify the code on standard input: the exit code is 0 if it is right, and 65 if not.",
        discussion: """
              otpd verify user-42

            The code comes from standard input, because every user of the machine can read arguments. A terminal does \
            not show it. A wrong code counts as a try, as it does for a user. A right code is used up.
            """)

    @Argument(help: "The subject: the backend's own reference to a user.")
    var subject: String

    @Option(help: "The purpose, as in otp.templates.")
    var purpose: String?

    @Flag(name: .long, help: "Print JSON instead of a word.")
    var json = false

    func run() throws {
        let settings = try CommandSettings.backend()
        guard let code = HiddenLine.read(prompt: "Code for \(SingleLine.escaped(subject)): "),
            code.contains(where: { !$0.isWhitespace })
        else {
            throw Failure(
                .invalidInput, "no code was verified", because: "standard input has no code",
                remedy: "Type the code at the prompt, or redirect a file with it to standard input")
        }
        let connectionSettings = Database.settings(settings.database, secrets: settings.secrets)
        let (subject, purpose) = (subject, purpose)
        let isRight = try onLoop { loop in
            try await Database.with(connectionSettings, on: loop, "no code was verified", needs: "otp_web") {
                connection throws(PostgresError) in
                try await VerifyCode.run(
                    on: connection, subject: subject, code: code, purpose: purpose, deadline: .now() + Database.timeout
                )
            }
        }
        if json { Output.write("{\"verified\": \(isRight)}\n") }
        guard isRight else {
            throw Failure(
                .invalidInput, "not verified",
                because: "the code is wrong, used, expired or replaced by a newer one, or there were too many tries",
                remedy: "Request a new code, or see the sends: otpd jobs list --subject SUBJECT")
        }
        if !json { Output.write("verified\n") }
    }
}
