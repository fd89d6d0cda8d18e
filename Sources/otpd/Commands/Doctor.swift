internal import ArgumentParser

/// `otpd doctor`: checks everything that otpd needs, and reports each problem with its remedy.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check the settings, secrets, database, Twilio and callbacks, and say how to mend each problem.",
        discussion: """
            It changes nothing and sends no message. Run it with the user and the environment of the daemon:
              sudo systemd-run -q --pty --wait --collect --uid=otpd \\
                -p EnvironmentFile=-/etc/otpd/otpd.env otpd doctor

            The exit code is 0 when no check failed. Warnings do not count. It is 78 for a bad configuration, 77 for a \
            refusal by privileges, and 69 for an unreachable service. If several checks failed, it is the first of \
            these.
            """)

    @Flag(name: .long, help: "Print JSON: an object with checks and summary.")
    var json = false

    func run() throws {
        let environment = ProcessEnvironment.current()
        let run = DoctorRun(
            parts: Settings.parts(environment: environment, readFile: SmallFile.read), environment: environment,
            files: FileReading.sources(environment))
        let report = try onLoop { loop in await run.run(on: loop) }
        Output.write(json ? report.json : report.text(colour: Terminal.isColoured))
        if report.exitCode != .done { Output.exit(report.exitCode) }
    }
}
