internal import ArgumentParser
internal import Callbacks
internal import EventLoop
internal import Glibc
internal import Logging
internal import Postgres
internal import Queue
internal import Runtime
internal import Twilio
internal import Worker

/// `otpd run`: the daemon.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Send what is queued, until told to stop (SIGTERM drains; another one, a second or more later, leaves at once)."
    )

    func run() throws {
        Daemon.blockSignals()
        let environment = ProcessEnvironment.current()
        let settings = try CommandSettings.worker()
        let log = settings.log.logger(label: "otpd", environment: environment)
        for warning in settings.warnings { log.warning("\(warning)") }
        let daemon = try Daemon(settings.database, environment: environment, log)
        let configuration: WorkerConfiguration
        do {
            configuration = try Self.configuration(settings, log)
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        let receiver = Self.receiver(settings)
        let dashboard = settings.dashboard.map { ($0, Database.settings(settings.database)) }
        let reload = Reload(settings, environment: environment)
        try onLoop { loop in try await Self.run(configuration, receiver, dashboard, reload, on: loop, daemon) }
    }

    private static func run(
        _ configuration: WorkerConfiguration, _ receiverConfiguration: ReceiverConfiguration?,
        _ dashboardSettings: (DashboardSettings, ConnectionSettings)?, _ reload: Reload, on loop: EventLoop,
        _ daemon: Daemon
    ) async throws {
        let (log, systemd) = (daemon.log, daemon.systemd)
        let receiver = receiverConfiguration.map { CallbackReceiver($0, on: loop, log: log) }
        let worker: Worker
        do throws(WorkerFailure) {
            worker = try Worker(
                configuration, on: loop, log: log, callbackCounts: { receiver?.counts },
                onStatus: { systemd.status($0) })
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        let dashboard = dashboardSettings.map { settings, database in
            DashboardServer(settings, database, on: loop, log: log, isRunning: { await worker.isRunning() })
        }
        let (stop, hangUp) = try daemon.signals(on: loop)

        enum Ended {
            case worker(Failure?)
            case receiver(Failure?)
            case dashboard(Failure?)
            case other
        }
        let failure = await withTaskGroup(of: Ended.self) { group -> Failure? in
            group.addTask {
                await daemon.feedWatchdog(on: loop)
                return .other
            }
            if let receiver {
                group.addTask { .receiver(await CallbacksCommand.failure(of: receiver)) }
                // Nothing is claimed by a program that can't start.
                guard await receiver.isListening() else {
                    while let ended = await group.next() {
                        guard case .receiver(let failure) = ended else { continue }
                        group.cancelAll()
                        return failure
                    }
                    return nil
                }
            }
            if let dashboard {
                group.addTask { .dashboard(await dashboard.run()) }
                guard await dashboard.isListening() else {
                    await receiver?.drain()
                    while let ended = await group.next() {
                        guard case .dashboard(let failure) = ended else { continue }
                        group.cancelAll()
                        return failure
                    }
                    return nil
                }
            }
            log.notice(
                "started",
                metadata: [LogKeys.version: "\(configuration.version)", LogKeys.database: "\(configuration.database)"])
            systemd.ready("waiting for the database")
            group.addTask {
                do throws(WorkerFailure) {
                    try await worker.run()
                    return .worker(nil)
                } catch {
                    return .worker(Failure(.configuration, "Cannot run", because: "\(error)"))
                }
            }
            group.addTask {
                await stop.wait()
                if !Task.isCancelled {
                    await receiver?.drain()
                    await worker.drain()
                }
                return .other
            }
            group.addTask {
                var reload = reload
                while true {
                    await hangUp.wait()
                    if Task.isCancelled { return .other }
                    await reload.run(worker, receiver, log, systemd)
                }
            }
            var failure: Failure?
            var running = receiver == nil ? 1 : 2
            while running > 0, let ended = await group.next() {
                switch ended {
                case .worker(let error):
                    running -= 1
                    failure = error
                    // By its schema: then there is nothing to receive for.
                    await receiver?.drain()
                case .receiver(let error):
                    running -= 1
                    if error != nil { log.error("status callbacks are no longer received") }
                case .dashboard, .other: break
                }
            }
            // It answers until the worker has left.
            await dashboard?.drain()
            while dashboard != nil, let ended = await group.next() {
                if case .dashboard = ended { break }
            }
            group.cancelAll()
            return failure
        }
        if let failure { throw failure }
        log.notice("stopped")
    }

    /// The receiver's part, where there is one. The auth token is there then: the settings see to that.
    private static func receiver(_ settings: Settings) -> ReceiverConfiguration? {
        guard let callbacks = settings.callbacks, let listen = callbacks.listen,
            let authToken = settings.twilio.authToken
        else { return nil }
        return ReceiverConfiguration(
            database: Database.settings(settings.database), host: listen.host, port: Int(listen.port),
            publicURL: callbacks.publicURL.description, authToken: authToken)
    }

    private static func configuration(_ settings: Settings, _ log: Logger) throws(SettingProblem) -> WorkerConfiguration
    {
        let twilio = settings.twilio
        let descriptors = DescriptorPlan(
            limit: DescriptorLimit.current()?.soft ?? .max, wanted: settings.sending.maxInFlight,
            servers: (settings.callbacks?.listen == nil ? 0 : 1) + (settings.dashboard == nil ? 0 : 1))
        if let note = descriptors.note { log.warning("\(note)", metadata: [LogKeys.remedy: "\(descriptors.remedy)"]) }
        return WorkerConfiguration(
            database: Database.settings(settings.database), keys: settings.secrets.keys,
            twilioBaseURL: twilio.baseURL.description, credentials: try twilio.credentials(), sender: twilio.sender,
            appName: settings.appName,
            maxInFlight: descriptors.window, windowNote: descriptors.note,
            ratePerSecond: settings.sending.ratePerSecond,
            resendsUnknown: settings.sending.resendUnknown == .afterGrace,
            statusCallback: settings.callbacks?.publicURL.description, caFile: settings.caFile, host: HostName.own,
            version: Version.number)
    }
}

/// This machine's name.
enum HostName {
    static var own: String {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
