internal import ArgumentParser
internal import CLinux
internal import EventLoop
internal import Glibc
internal import Logging
internal import OTP
internal import Postgres
internal import Twilio
internal import Worker

/// `otpd run`: the daemon.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send what is queued, until told to stop (SIGTERM drains, a second one leaves at once).")

    /// The signals that the loop takes.
    private static let signals = [SIGTERM, SIGINT, SIGHUP]

    func run() throws {
        // Before any other thread, so that all threads leave them to the loop.
        Signals.block(Self.signals)
        let environment = ProcessEnvironment.current()
        let settings = try CommandSettings.worker()
        let log = settings.log.logger(label: "otpd", environment: environment)
        for warning in settings.warnings { log.warning("\(warning)") }
        let systemd: Systemd
        let configuration: WorkerConfiguration
        do {
            try Database.settings(settings.database).validate()
        } catch {
            throw Failure(.configuration, "Cannot start", because: "DATABASE_URL: \(error)")
        }
        // A core dump would hold codes and credentials.
        if prctl_set_undumpable() != 0 { log.warning("core dumps could not be switched off") }
        do {
            systemd = Systemd(try Notifier.connect(environment: environment), log)
            configuration = try Self.configuration(settings)
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        let watchdog: Watchdog?
        do throws(WatchdogError) {
            watchdog = try Watchdog.read(environment: environment, processID: getpid())
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        let reload = Reload(settings, environment: environment)
        try onLoop { loop in
            try await Self.run(configuration, reload, on: loop, log, systemd, watchdog)
        }
    }

    private static func run(
        _ configuration: WorkerConfiguration, _ reload: Reload, on loop: EventLoop, _ log: Logger,
        _ systemd: Systemd, _ watchdog: Watchdog?
    ) async throws {
        let worker: Worker
        do throws(WorkerFailure) {
            worker = try Worker(configuration, on: loop, log: log) { systemd.status($0) }
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        let stop = Latch(on: loop)
        let hangUp = Latch(on: loop)
        var stops = 0
        do {
            try Signals.watch(signals, on: loop) { signal in
                guard signal != SIGHUP else {
                    // A service on its way out is not to say that it is ready.
                    return stops == 0 ? hangUp.signal() : log.notice("SIGHUP: stopping, nothing is read anew")
                }
                stops += 1
                guard stops == 1 else {
                    log.error("a second signal: leaving at once", metadata: [LogKeys.signal: "\(signal)"])
                    Glibc.exit(1)
                }
                log.notice("told to stop", metadata: [LogKeys.signal: "\(signal)"])
                systemd.stopping("draining")
                stop.signal()
            }
        } catch {
            throw Failure(.internalError, "Cannot start", because: "signals can't be watched: \(error)")
        }
        log.notice(
            "started",
            metadata: [LogKeys.version: "\(configuration.version)", LogKeys.database: "\(configuration.database)"])
        systemd.ready("waiting for the database")

        let outcome = await withTaskGroup(of: Swift.Result<Void, WorkerFailure>?.self) { group in
            group.addTask {
                do throws(WorkerFailure) { return .success(try await worker.run()) } catch { return .failure(error) }
            }
            group.addTask {
                await stop.wait()
                if !Task.isCancelled { await worker.drain() }
                return nil
            }
            group.addTask {
                var reload = reload
                while true {
                    await hangUp.wait()
                    if Task.isCancelled { return nil }
                    await reload.run(worker, log, systemd)
                }
            }
            if let watchdog {
                group.addTask {
                    await Self.feed(watchdog, on: loop, systemd)
                    return nil
                }
            }
            while let ended = await group.next() {
                guard let result = ended else { continue }
                group.cancelAll()
                return result
            }
            return .success(())
        }
        do {
            try outcome.get()
        } catch {
            throw Failure(.configuration, "Cannot run", because: "\(error)")
        }
        log.notice("stopped")
    }

    /// The watchdog is fed by the loop alone: a stuck database is no reason to kill a worker with unsaved ends.
    private static func feed(_ watchdog: Watchdog, on loop: EventLoop, _ systemd: Systemd) async {
        while (try? await loop.sleep(for: Instant.Span(watchdog.interval))) != nil { systemd.watchdog() }
    }

    private static func configuration(_ settings: Settings) throws(SettingProblem) -> WorkerConfiguration {
        let twilio = settings.twilio
        return WorkerConfiguration(
            database: Database.settings(settings.database, secrets: settings.secrets),
            twilioBaseURL: twilio.baseURL.description, credentials: try twilio.credentials(), sender: twilio.sender,
            appName: settings.appName,
            maxInFlight: settings.sending.maxInFlight, ratePerSecond: settings.sending.ratePerSecond,
            resendsUnknown: settings.sending.resendUnknown == .afterGrace,
            statusCallback: settings.callbacks?.publicURL.description, caFile: settings.caFile, host: HostName.own,
            version: Version.number)
    }
}

/// What systemd is told; a notification that fails is logged and no more.
struct Systemd: Sendable {
    private let notifier: Notifier?
    private let log: Logger

    init(_ notifier: Notifier?, _ log: Logger) {
        self.notifier = notifier
        self.log = log
    }

    func ready(_ status: String) { tell { notifier throws(NotifierError) in try notifier.ready(status: status) } }
    func status(_ status: String) { tell { notifier throws(NotifierError) in try notifier.status(status) } }
    func reloading() { tell { notifier throws(NotifierError) in try notifier.reloading() } }
    func reloaded() { tell { notifier throws(NotifierError) in try notifier.reloaded() } }
    func stopping(_ status: String) { tell { notifier throws(NotifierError) in try notifier.stopping(status: status) } }
    func watchdog() { tell { notifier throws(NotifierError) in try notifier.watchdog() } }

    private func tell(_ body: (Notifier) throws(NotifierError) -> Void) {
        guard let notifier else { return }
        do {
            try body(notifier)
        } catch {
            log.warning("systemd was not told", metadata: [LogKeys.error: "\(error)"])
        }
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
