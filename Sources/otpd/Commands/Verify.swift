internal import ArgumentParser
internal import EventLoop
internal import Postgres
internal import Queue

/// `otpd verify`: asks whether a code is right, as a backend would. For trying things out.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify the code on standard input: 0 when it is right, 65 when it is not.",
        discussion: """
            The code comes from standard input, unseen where that is a terminal, since arguments are seen by everybody on \
            the machine. A wrong one counts, as a user's does; a right one is used up.
              otpd verify user-42
            """)

    @Argument(help: "Whose verification it is: the backend's own reference of a user.")
    var subject: String

    @Option(help: "The purpose, as in otp.templates.")
    var purpose: String?

    @Flag(name: .long, help: "Print JSON instead of a word.")
    var json = false

    func run() throws {
        let settings = try CommandSettings.webTier()
        guard let code = HiddenLine.read(prompt: "Code for \(SingleLine.escaped(subject)): "),
            code.contains(where: { !$0.isWhitespace })
        else {
            throw Failure(
                .invalidInput, "Nothing was verified", because: "standard input has no code",
                remedy: "Type it there when asked, or write it there from a file")
        }
        let connectionSettings = Database.settings(settings.database, secrets: settings.secrets)
        let (subject, purpose) = (subject, purpose)
        let isRight = try onLoop { loop in
            try await Database.with(connectionSettings, on: loop, "Nothing was verified", needs: "otp_web") {
                connection throws(PostgresError) in
                try await VerifyCode.run(
                    on: connection, subject: subject, code: code, purpose: purpose, deadline: .now() + Database.timeout
                )
            }
        }
        if json { Output.write("{\"verified\": \(isRight)}\n") }
        guard isRight else {
            throw Failure(
                .invalidInput, "Not verified",
                because:
                    "the code is wrong, or it is used, expired, replaced by a newer one, or there were too many tries",
                remedy: "Ask for a new code, or see its sends: otpd jobs list --subject …")
        }
        if !json { Output.write("verified\n") }
    }
}
