internal import ArgumentParser
internal import CLinux
internal import HTTP

/// `otpd`: the daemon and its tools.
@main
struct Otpd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpd",
        abstract: "Send the one-time codes that a backend queues in PostgreSQL, through Twilio.",
        discussion: """
            Settings come from the environment. To print all of them with their meaning: otpd settings

            Exit codes: 0 done, 64 bad usage, 65 bad input, 69 a needed service is unreachable, 70 an error in otpd \
            itself, 74 the output could not be written, 77 refused by privileges, 78 bad configuration.
            """,
        version: Version.text,
        subcommands: [
            Run.self, Migrate.self, StatusCommand.self, EnqueueCommand.self, PauseCommand.self, ResumeCommand.self,
            CallbacksCommand.self, DashboardCommand.self, JobsCommand.self, VerifyCommand.self, DoctorCommand.self,
            ProbeCommand.self, SettingsCommand.self,
        ])

    static func main() {
        // This must come before any library reads its variables.
        _ = LibraryVariables.removed
        Output.claimDescriptors()
        DescriptorLimit.raise()
        // A core dump of any command would hold codes and credentials.
        _ = prctl_set_undumpable()
        do {
            // libcurl must be set up before a second thread starts.
            try HTTPClient.prepareProcess()
        } catch {
            Output.fail(Failure(.internalError, "cannot start", because: "\(error)"))
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
