internal import ArgumentParser
internal import Callbacks
internal import EventLoop
internal import Glibc
internal import Logging
internal import Postgres
internal import Queue
internal import Runtime
internal import Tracing
internal import Twilio
internal import Worker

/// `otpd run`: the daemon.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send the queued codes: the daemon.",
        discussion: """
            It runs until SIGTERM or SIGINT. Then it drains: it claims nothing more, finishes the requests that it \
            handed over, and exits. A second signal, a second or more later, ends it at once.
            """)

    func run() throws {
        Daemon.blockSignals()
        let environment = ProcessEnvironment.current()
        let settings = try CommandSettings.worker()
        let log = settings.log.logger(label: "otpd", environment: environment)
        for warning in settings.warnings { log.warning("\(warning)") }
        let daemon = try Daemon(settings.database, environment: environment, log)
        let configuration: WorkerConfiguration
        let mail: WorkerConfiguration?
        do {
            configuration = try Self.configuration(settings, log)
            mail = try settings.mail.map {
                configuration.sendingMail(by: try $0.transport(), atATime: MailSettings.atATime)
            }
        } catch {
            throw Failure(.configuration, "cannot start", because: "\(error)")
        }
        let receiver = Self.receiver(settings)
        let dashboard = settings.dashboard.map { ($0, Database.settings(settings.database)) }
        let reload = Reload(settings, environment: environment)
        let traces = settings.traces.map { ($0, settings.twilio.baseURL) }
        try onLoop { loop in
            try await Self.run(configuration, mail, receiver, dashboard, traces, reload, on: loop, daemon)
        }
    }

    private static func run(
        _ configuration: WorkerConfiguration, _ mailConfiguration: WorkerConfiguration?,
        _ receiverConfiguration: ReceiverConfiguration?,
        _ dashboardSettings: (DashboardSettings, ConnectionSettings)?,
        _ traceSettings: (TraceSettings, WebAddress)?, _ reload: Reload, on loop: EventLoop, _ daemon: Daemon
    ) async throws {
        let (log, systemd) = (daemon.log, daemon.systemd)
        let traces = try traceSettings.map { settings, twilio in
            try ProcessTraces(settings, twilio: twilio, on: loop, log)
        }
        let tracer = traces?.tracer
        let receiver = receiverConfiguration.map { CallbackReceiver($0, on: loop, log: log, tracer: tracer) }
        let worker: Worker
        var mailer: Worker?
        do throws(WorkerFailure) {
            worker = try Worker(
                configuration, on: loop, log: log, tracer: tracer, spanCounts: { tracer?.counts },
                callbackCounts: { receiver?.counts }, onStatus: { systemd.status($0) })
            if let mailConfiguration { mailer = try Worker(mailConfiguration, on: loop, log: log, tracer: tracer) }
        } catch {
            throw Failure(.configuration, "cannot start", because: "\(error)")
        }
        let dashboard = dashboardSettings.map { settings, database in
            DashboardServer(settings, database, on: loop, log: log, isRunning: { await worker.isRunning() })
        }
        var services: [Service] = []
        // The servers listen before the worker begins, so that a program that cannot start claims nothing.
        if let receiver { services.append(Service(receiver)) }
        if let dashboard {
            var service = Service(dashboard)
            service.isLast = true
            services.append(service)
        }
        if let traces { services.append(traces.service) }
        services.append(Self.service([worker, mailer].compactMap(\.self)))
        try await daemon.run(
            services, on: loop,
            started: [
                LogKeys.version: "\(configuration.version)", LogKeys.database: "\(configuration.database)",
            ], status: "waiting for the database",
            reload: { next in
                var reload = reload
                while await next() { await reload.run(worker, receiver, log, systemd) }
            })
    }

    /// The workers as one service, since they begin and drain together. E-mail has a worker of its own, with its own
    /// sessions, pauses and row in otp.worker_status. A worker that cannot run ends the others.
    private static func service(_ workers: [Worker]) -> Service {
        Service(
            run: {
                await withTaskGroup(of: Failure?.self) { group in
                    for worker in workers {
                        group.addTask {
                            do throws(WorkerFailure) {
                                try await worker.run()
                                return nil
                            } catch {
                                return Failure(.configuration, "cannot run", because: "\(error)")
                            }
                        }
                    }
                    var failure: Failure?
                    for await ended in group where ended != nil {
                        if failure == nil { for worker in workers { await worker.drain() } }
                        failure = failure ?? ended
                    }
                    return failure
                }
            },
            drain: {
                await withTaskGroup(of: Void.self) { group in
                    for worker in workers { group.addTask { await worker.drain() } }
                }
            })
    }

    /// The receiver's configuration, or nil without a receiver. A receiver always has an auth token: the settings check
    /// that.
    private static func receiver(_ settings: Settings) -> ReceiverConfiguration? {
        guard let callbacks = settings.callbacks, let listen = callbacks.listen,
            let authToken = settings.twilio.authToken
        else { return nil }
        return ReceiverConfiguration(
            database: Database.settings(settings.database), listen: listen,
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
            statusCallback: settings.callbacks?.publicURL.description, caFile: settings.caFile,
            plainHTTP: twilio.plainHTTP, host: HostName.own, version: Version.number)
    }
}
