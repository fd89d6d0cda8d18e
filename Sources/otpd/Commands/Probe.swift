internal import ArgumentParser
internal import EventLoop
internal import HTTP
internal import HTTPServer

/// `otpd probe`: asks the otpd on this machine for its health, as containers need it, which have neither a shell nor
/// curl.
struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Ask the otpd on this machine whether it is alive or ready: the health check of a container.",
        discussion: """
            It asks for /healthz, or for /readyz with --ready, at OTPD_DASHBOARD_LISTEN (127.0.0.1:9464 if it is not \
            set). If otpd listens on every address (0.0.0.0 or [::]), it asks at loopback. It needs no token.

            The exit code is 0 if the answer is 200. It is 69 for any other answer, and if none comes within 5 seconds.
            """)

    @Flag(name: .long, help: "Ask whether it is ready: the database answers, and the worker takes jobs.")
    var ready = false

    func run() throws {
        let listen = try Settings.probe(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        let probe = Probe(listen: listen, question: ready ? .ready : .alive)
        let answer = try onLoop { loop in await probe.ask(on: loop) }
        if let failure = probe.failure(answer) { throw failure }
    }
}

/// One question to the health checks of an otpd on this machine.
struct Probe: Equatable, Sendable {
    enum Question: Equatable, Sendable {
        case alive
        case ready

        var path: String {
            switch self {
            case .alive: "/healthz"
            case .ready: "/readyz"
            }
        }

        /// What failed, in lower case.
        var failure: String {
            switch self {
            case .alive: "otpd is not alive"
            case .ready: "otpd is not ready"
            }
        }
    }

    /// The timeout for the answer.
    static let timeout = Instant.Duration.seconds(5)

    let address: ListenAddress
    let question: Question

    /// - Parameter listen: the address that otpd listens on.
    init(listen: ListenAddress, question: Question) {
        address = Self.reachable(listen)
        self.question = question
    }

    var url: String { "http://\(address)\(question.path)" }

    /// The address to connect to. All addresses of a machine include loopback.
    private static func reachable(_ listen: ListenAddress) -> ListenAddress {
        guard listen.host.allSatisfy({ $0 == "0" || $0 == "." || $0 == ":" }) else { return listen }
        return ListenAddress(host: listen.host.contains(":") ? "::1" : "127.0.0.1", port: listen.port)
    }

    func ask(on loop: EventLoop) async -> HTTPAnswer {
        var limits = HTTPConfiguration()
        limits.maxConnections = 1
        limits.userAgent = "otpd/\(Version.number) probe"
        // The address is this machine's even where it is not loopback, and the request holds no secret.
        limits.plainHTTP = .toAnyHostButTwilio
        return await .to(Request(.get, url: url, isAlone: true), limits: limits, within: Self.timeout, on: loop)
    }

    /// The failure that an answer means. Nil where otpd is well.
    func failure(_ answer: HTTPAnswer) -> Failure? {
        let start = "Set OTPD_DASHBOARD_LISTEN, start otpd run or otpd dashboard, and read its log"
        switch (answer, question) {
        case (.response(200, _), _): return nil
        case (.response(503, let body), .ready):
            let line = String(decoding: body.prefix(while: { $0 != UInt8(ascii: "\n") }), as: UTF8.self)
            // Without a token, a dashboard that has one gives no reason.
            let isSilent = line.isEmpty || line == "not ready"
            return Failure(
                .unavailable, question.failure,
                because: isSilent ? "the database does not answer, or the worker claims no jobs" : line,
                remedy: "For more, run otpd status, and read the log")
        case (.response(let status, _), _):
            return Failure(
                .unavailable, question.failure, because: "\(url) answers with the HTTP status \(status)",
                remedy: "Check that OTPD_DASHBOARD_LISTEN is the address of otpd, and of no other program")
        case (.failure(let error), _):
            return Failure(
                .unavailable, question.failure, because: "\(url) does not answer: \(Self.words(error))", remedy: start)
        }
    }

    private static func words(_ error: HTTPError) -> String {
        switch error.reason {
        case .notSent(let reason): "\(reason)"
        case .unknown(let reason): "\(reason)"
        case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup: "\(error)"
        }
    }
}
