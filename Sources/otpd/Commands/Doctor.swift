internal import ArgumentParser

/// `otpd doctor`: looks at everything that has to be right, and says what is not and what to do.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check settings, secrets, database, Twilio and callbacks; say what is wrong and what to do.",
        discussion: """
            Changes nothing and sends no message. Run it with the daemon's own environment:
              sudo systemd-run -q --pty --wait --collect -p EnvironmentFile=-/etc/otpd/otpd.env otpd doctor
            Ends with 0 when nothing failed (warnings allowed), 78 bad configuration, 77 refused by privileges, \
            69 a needed service is unreachable; of several the first of these.
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
