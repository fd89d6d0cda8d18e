internal import ArgumentParser
internal import Callbacks
internal import EventLoop
internal import Glibc
internal import HTTPServer
internal import Logging
internal import Queue
internal import Runtime
internal import Tracing

/// `otpd callbacks`: receives status callbacks and does nothing else.
struct CallbacksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "callbacks",
        abstract: "Receive Twilio's status callbacks, and do nothing else.",
        discussion: """
            Use it on a machine that Twilio can reach and that sends nothing. If OTPD_CALLBACK_LISTEN is set, otpd run \
            receives status callbacks too. This command needs OTPD_CALLBACK_LISTEN, OTPD_CALLBACK_PUBLIC_URL, \
            TWILIO_AUTH_TOKEN and the database.
            """)

    func run() throws {
        Daemon.blockSignals()
        let environment = ProcessEnvironment.current()
        let settings = try CommandSettings.receiver()
        let log = settings.log.logger(label: "otpd", environment: environment)
        for warning in settings.warnings { log.warning("\(warning)") }
        let daemon = try Daemon(settings.database, environment: environment, log)
        let configuration = ReceiverConfiguration(
            database: Database.settings(settings.database), listen: settings.listen,
            publicURL: settings.publicURL.description, authToken: settings.authToken,
            statusRow: WorkerReport(host: HostName.own, pid: getpid(), version: Version.number))
        let reload = ReceiverReload(settings, environment: environment)
        let traces = settings.traces
        try onLoop { loop in try await Self.run(configuration, traces, reload, on: loop, daemon) }
    }

    private static func run(
        _ configuration: ReceiverConfiguration, _ traceSettings: TraceSettings?, _ reload: ReceiverReload,
        on loop: EventLoop, _ daemon: Daemon
    ) async throws {
        let traces = try traceSettings.map { try ProcessTraces($0, twilio: nil, on: loop, daemon.log) }
        let receiver = CallbackReceiver(configuration, on: loop, log: daemon.log, tracer: traces?.tracer)
        try await daemon.run(
            [traces?.service, Service(receiver)].compactMap(\.self), on: loop,
            started: [
                LogKeys.version: "\(Version.number)", LogKeys.database: "\(configuration.database)",
            ], status: "receiving status callbacks",
            reload: { next in
                var reload = reload
                while await next() { await reload.run(receiver, daemon.log, daemon.systemd) }
            })
    }
}

extension Service {
    /// A receiver of status callbacks. It listens before the services after it begin.
    init(_ receiver: CallbackReceiver) {
        self.init(
            run: {
                do throws(ReceiverFailure) {
                    try await receiver.run()
                    return nil
                } catch {
                    return Failure(error)
                }
            }, hasBegun: { await receiver.isListening() }, drain: { await receiver.drain() },
            failureMessage: "the receiver of status callbacks has stopped")
    }
}

extension Failure {
    fileprivate init(_ failure: ReceiverFailure) {
        let what = "cannot receive status callbacks"
        switch failure {
        case .listen(let failure): self.init(failure, what)
        case .schema: self.init(.configuration, what, because: "\(failure)")
        }
    }
}
