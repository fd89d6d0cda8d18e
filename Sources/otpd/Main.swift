internal import ArgumentParser
internal import CLinux
internal import HTTP

/// `otpd`: the daemon and its tools.
@main
struct Otpd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpd",
        abstract: "Sends the one-time codes that a backend queues in PostgreSQL, through Twilio.",
        discussion: """
            Settings come from the environment; see README.md. Exit codes: 0 done, 64 bad usage, 65 bad input, \
            69 a needed service is unreachable, 70 a mistake in otpd, 74 the output could not be written, 77 refused by privileges, 78 bad configuration.
            """,
        version: Version.text,
        subcommands: [
            Run.self, Migrate.self, StatusCommand.self, EnqueueCommand.self, PauseCommand.self, ResumeCommand.self,
            CallbacksCommand.self, DashboardCommand.self, JobsCommand.self, VerifyCommand.self, DoctorCommand.self,
        ])

    static func main() {
        // Before any library looks at its variables.
        _ = LibraryVariables.removed
        Output.claimDescriptors()
        DescriptorLimit.raise()
        // A core dump would hold codes and credentials, whichever command it is of.
        _ = prctl_set_undumpable()
        do {
            // libcurl wants to be set up before the first other thread.
            try HTTPClient.prepareProcess()
        } catch {
            Output.fail(Failure(.internalError, "Cannot start", because: "\(error)"))
        }
        do {
            var command = try parseAsRoot()
            try command.run()
            Output.finish()
        } catch let failure as Failure {
            Output.fail(failure)
        } catch let problems as SettingsProblems {
            Output.fail(problems)
        } catch {
            Output.end(error, of: Self.self)
        }
    }
}
