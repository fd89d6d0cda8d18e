internal import ArgumentParser
internal import Callbacks
internal import EventLoop
internal import Glibc
internal import HTTPServer
internal import Logging
internal import Queue
internal import Runtime

/// `otpd callbacks`: the receiver of status callbacks alone.
struct CallbacksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "callbacks",
        abstract: "Receive Twilio's status callbacks, and nothing else, until told to stop.",
        discussion: """
            For a machine that Twilio may reach and that sends nothing. `otpd run` receives them too where \
            OTPD_CALLBACK_LISTEN is set. Needs OTPD_CALLBACK_LISTEN, OTPD_CALLBACK_PUBLIC_URL, TWILIO_AUTH_TOKEN and \
            the database.
            """)

    func run() throws {
        Daemon.blockSignals()
        let environment = ProcessEnvironment.current()
        let settings = try CommandSettings.receiver()
        let log = settings.log.logger(label: "otpd", environment: environment)
        for warning in settings.warnings { log.warning("\(warning)") }
        let daemon = try Daemon(settings.database, environment: environment, log)
        let configuration = ReceiverConfiguration(
            database: Database.settings(settings.database), host: settings.listen.host,
            port: Int(settings.listen.port), publicURL: settings.publicURL.description, authToken: settings.authToken,
            statusRow: WorkerReport(host: HostName.own, pid: getpid(), version: Version.number))
        let reload = ReceiverReload(settings, environment: environment)
        try onLoop { loop in try await Self.run(configuration, reload, on: loop, daemon) }
    }

    private static func run(
        _ configuration: ReceiverConfiguration, _ reload: ReceiverReload, on loop: EventLoop, _ daemon: Daemon
    ) async throws {
        let receiver = CallbackReceiver(configuration, on: loop, log: daemon.log)
        let (stop, hangUp) = try daemon.signals(on: loop)
        enum Ended {
            case receiver(Failure?)
            case other
        }
        let failure = await withTaskGroup(of: Ended.self) { group -> Failure? in
            group.addTask { .receiver(await Self.failure(of: receiver)) }
            group.addTask {
                guard await receiver.isListening() else { return .other }
                daemon.log.notice(
                    "started",
                    metadata: [
                        LogKeys.version: "\(Version.number)", LogKeys.database: "\(configuration.database)",
                    ])
                daemon.systemd.ready("receiving status callbacks")
                await stop.wait()
                if !Task.isCancelled { await receiver.drain() }
                return .other
            }
            group.addTask {
                var reload = reload
                while true {
                    await hangUp.wait()
                    if Task.isCancelled { return .other }
                    await reload.run(receiver, daemon.log, daemon.systemd)
                }
            }
            group.addTask {
                await daemon.feedWatchdog(on: loop)
                return .other
            }
            while let ended = await group.next() {
                guard case .receiver(let failure) = ended else { continue }
                group.cancelAll()
                return failure
            }
            return nil
        }
        if let failure { throw failure }
        daemon.log.notice("stopped")
    }

    /// Runs a receiver to its end; why it could not.
    static func failure(of receiver: CallbackReceiver) async -> Failure? {
        do throws(ReceiverFailure) {
            try await receiver.run()
            return nil
        } catch {
            let code: ExitCode =
                switch error {
                case .listen(let failure):
                    switch failure.kind {
                    case .unavailable: .unavailable
                    case .refused: .refused
                    }
                case .schema: .configuration
                }
            return Failure(code, "Cannot receive status callbacks", because: "\(error)")
        }
    }
}
