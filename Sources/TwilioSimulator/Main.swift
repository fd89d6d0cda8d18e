import ArgumentParser
import Dispatch
import Glibc

/// `twilio-simulator`: a stand-in for Twilio's messages and calls, and for a mail server. Not a part of otpd.
@main
struct TwilioSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "twilio-simulator",
        abstract: "A stand-in for Twilio and for a mail server, for demos, tests, staging and benchmarks.",
        discussion: """
            Point otpd at it with TWILIO_API_BASE_URL=http://127.0.0.1:PORT. Credentials come from the environment, \
            as for otpd, and never from arguments: TWILIO_ACCOUNT_SID (default: AC and 32 zeros), TWILIO_AUTH_TOKEN \
            (default: simulator-auth-token), and TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET.

            \(MagicNumbers.help)

            A message to whatsapp:+… needs a content template (ContentSid). HX and 31 zeros with 1 is in English, with 2 \
            in Arabic; --content adds others. A text without a template ends with 63016, unless whatsapp_window is true.

            A call says the words of its Twiml. Invalid TwiML is refused at once, and so is a voice that does not speak \
            the language. (Twilio itself makes such a call, and says that an error has occurred.) One call a second \
            leaves the queue.

            With --smtp-port or --smtps-port, a mail server keeps every mail in the inbox and forwards none. It accepts \
            any user, or only TWILIO_SIMULATOR_SMTP_USERNAME with TWILIO_SIMULATOR_SMTP_PASSWORD. With a certificate, \
            mails and passwords need TLS.

            \(MagicAddresses.help)

            By default it listens on loopback and answers requests whose Host is localhost, a name under it, \
            127.0.0.0/8 or [::1]. Any other --host needs TWILIO_SIMULATOR_TOKEN in the environment. If that token is \
            set, control needs it too: Authorization: Bearer TOKEN. Status callbacks go to this machine alone, unless \
            you give --remote-callbacks. callbacks_refused counts the callbacks that were not sent for this reason.

            Control, on the same port:
              GET  /_sim/inbox?to=&sid=&limit=&before=&channel=
                                                         messages, calls and mails, newest first
              GET  /_sim/stats                           counts, of all channels and of each
              POST /_sim/reset                           delete messages, counts and faults
              POST /_sim/reset?channel=                  delete messages and counts of sms, whatsapp, call or email
              POST /_sim/faults                          JSON; the given keys replace, the others stay:
                next [{fault, count, on: create|fetch|list|feedback|lookup|any, channel, retry_after, ms, code}],
                numbers {"+…": {same}},
                rates {fault: 0…1}, slow_ms, latency_ms, list_lag_ms, callbacks {lost, duplicated, reversed: 0…1},
                max_concurrent, max_per_second, auth_token, error_format classic|problem,
                account_status active|suspended|closed, account_type Full|Trial, calls_per_second, whatsapp_window,
                smtp [{on, fault, count, code, text, ms, to}]
                Faults: \(Fault.names.joined(separator: ", "))
                Steps of SMTP: \(MailStep.allCases.map(\.rawValue).joined(separator: ", "))
                Faults of SMTP: \(MailFault.names.joined(separator: ", "))
              GET  /healthz
            """,
        version: "twilio-simulator \(TwilioSimulator.version)")

    /// The version of otpd, because both are released together.
    static let version = "0.1.0"

    @Option(help: "Address to listen on. Any but loopback needs TWILIO_SIMULATOR_TOKEN.")
    var host = "127.0.0.1"

    @Option(help: "Port to listen on; 0 for a free one. Printed as: listening on http://127.0.0.1:PORT")
    var port = 0

    @Flag(help: "Send status callbacks to other machines too.")
    var remoteCallbacks = false

    @Option(
        help: "Milliseconds from creation to sending, sent, the final status; of a call: to ringing, in-progress, end.")
    var delays = "200,500,1500"

    @Option(name: .customLong("calls-per-second"), help: "Calls that leave the queue within a second; 0 for no limit.")
    var callsPerSecond = 1.0

    @Option(help: "A content template, as HX…=text with {{1}}. Repeat it for several.")
    var content: [String] = []

    @OptionGroup var mail: MailOptions

    @Option(help: "How many of the newest messages to keep, and of the newest calls and mails.")
    var capacity = 1_000_000

    @Option(name: .customLong("latency-ms"), help: "Milliseconds that every answer takes.")
    var latency = 0

    @Option(name: .customLong("list-lag-ms"), help: "Milliseconds until a new message appears in the list.")
    var listLag = 0

    @Option(help: "Faults from the start on: a JSON object for /_sim/faults.")
    var faults = ""

    @Option(help: "Seed for faults by rate and for SIDs. Default: random.")
    var seed: UInt64?

    @Flag(help: "Print errors as RFC 9457 problem details.")
    var problemJSON = false

    @Option(help: "File that gets the address once the simulator listens.")
    var readyFile: String?

    func settings() throws -> Settings {
        var settings = Settings()
        settings.host = host
        settings.port = port
        settings.allowsRemoteCallbacks = remoteCallbacks
        settings.controlToken = Variables.value("TWILIO_SIMULATOR_TOKEN")
        if settings.controlToken == nil, !Access.isLoopback(host) {
            throw ValidationError(
                "other machines can reach --host \(host), and TWILIO_SIMULATOR_TOKEN is not set. Set it, to keep codes "
                    + "from strangers, or listen on 127.0.0.1.")
        }
        for option in content where !settings.templates.add(option) {
            throw ValidationError("--content must be HX and 32 hexadecimal digits, then = and a text: \(option)")
        }
        settings.mail = try mail.settings()
        guard callsPerSecond == 0 || (0.001...1000).contains(callsPerSecond) else {
            throw ValidationError("--calls-per-second must be 0, or from 0.001 to 1000")
        }
        settings.callsPerSecond = callsPerSecond
        settings.capacity = capacity
        settings.latencyMilliseconds = latency
        settings.listLagMilliseconds = listLag
        settings.errorFormat = problemJSON ? .problem : .classic
        settings.seed = seed ?? UInt64.random(in: .min ... .max)
        settings.faults = Array(faults.utf8)
        settings.accountSID = Variables.value("TWILIO_ACCOUNT_SID") ?? settings.accountSID
        settings.authToken = Variables.value("TWILIO_AUTH_TOKEN") ?? settings.authToken
        settings.apiKeySID = Variables.value("TWILIO_API_KEY_SID")
        settings.apiKeySecret = Variables.value("TWILIO_API_KEY_SECRET")
        let parts = delays.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 3, let sending = parts[0], let sent = parts[1], let final = parts[2],
            let delays = StatusDelays(sending: sending, sent: sent, final: final)
        else {
            throw ValidationError("--delays must be three non-decreasing numbers, such as 200,500,1500")
        }
        settings.delays = delays
        do {
            _ = try Simulator(settings)
        } catch let error as ControlError {
            throw ValidationError("--faults: \(error.message)")
        }
        return settings
    }

    func run() throws {
        let settings = try settings()
        let server: SimulatorServer
        do {
            server = try SimulatorServer(settings)
        } catch let error as TLSFailure {
            Self.write("twilio-simulator: \(error.message)\n", to: STDERR_FILENO)
            throw ExitCode(66)
        } catch {
            Self.write(
                "twilio-simulator: cannot serve on \(settings.host):\(settings.port): \(error). "
                    + "Give another --port, or 0 for a free one.\n", to: STDERR_FILENO)
            throw ExitCode(69)
        }
        // Set before the address is printed, because its reader may end this program at once.
        let signals = Self.watch([SIGTERM, SIGINT]) { server.stopListening() }
        var urls = ["http://\(settings.host):\(server.port)"]
        if let port = server.mailPort { urls.append("smtp://\(settings.host):\(port)") }
        if let port = server.mailTLSPort { urls.append("smtps://\(settings.host):\(port)") }
        // The file is written before the lines, because their reader may look for the file. The lines are one write,
        // because their reader may have enough with the first.
        if let readyFile { Self.announce(urls.joined(separator: "\n"), in: readyFile) }
        Self.write(urls.map { "listening on \($0)\n" }.joined(), to: STDOUT_FILENO)
        withExtendedLifetime(signals) { server.waitUntilClosed() }
        server.close()
    }

    /// Calls `action` for these signals, while the result exists.
    private static func watch(
        _ signals: [Int32], _ action: @escaping @Sendable () -> Void
    ) -> [any DispatchSourceSignal] {
        signals.map { number in
            // Dispatch does not change a signal's disposition, which would end the program.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { action() }
            source.resume()
            return source
        }
    }

    /// Writes at once, because the program that started this one waits for the line.
    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    private static func announce(_ url: String, in path: String) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            return write("twilio-simulator: cannot write \(path): \(unsafe String(cString: strerror(errno)))\n", to: 2)
        }
        write(url + "\n", to: descriptor)
        close(descriptor)
    }
}
