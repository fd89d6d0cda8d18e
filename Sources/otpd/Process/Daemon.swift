internal import CLinux
internal import EventLoop
internal import Glibc
internal import Logging
internal import Postgres
internal import Runtime

/// What a command that runs until it is told to stop has around it: signals, systemd, the watchdog.
struct Daemon: Sendable {
    let log: Logger
    let systemd: Systemd
    private let watchdog: Watchdog?

    /// The signals that the loop takes.
    private static let signals = [SIGTERM, SIGINT, SIGHUP]

    /// Before any other thread is started, so that all threads leave the signals to the loop.
    static func blockSignals() { Signals.block(signals) }

    /// Checks what can be checked before anything is started.
    init(_ database: DatabaseSettings, environment: [String: String], _ log: Logger) throws(Failure) {
        do {
            try Database.settings(database).validate()
        } catch {
            throw Failure(.configuration, "Cannot start", because: "DATABASE_URL: \(error)")
        }
        if !LibraryVariables.removed.isEmpty {
            log.warning(
                "variables of libraries were removed from the environment",
                metadata: [
                    LogKeys.variables: "\(LibraryVariables.removed.joined(separator: " "))",
                    LogKeys.remedy: "\(LibraryVariables.remedy)",
                ])
        }
        // A core dump would hold codes and credentials.
        if prctl_set_undumpable() != 0 { log.warning("core dumps could not be switched off") }
        do throws(NotifierError) {
            systemd = Systemd(try Notifier.connect(environment: environment), log)
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        do throws(WatchdogError) {
            watchdog = try Watchdog.read(environment: environment, processID: getpid())
        } catch {
            throw Failure(.configuration, "Cannot start", because: "\(error)")
        }
        self.log = log
    }

    /// Latches that are signalled when the process is told to stop (told again later, it leaves at once: `StopRule`), and to
    /// read its settings' files anew.
    func signals(on loop: EventLoop) throws(Failure) -> (stop: Latch, reloadRequested: Latch) {
        let stop = Latch(on: loop)
        let reloadRequested = Latch(on: loop)
        var rule = StopRule()
        do {
            try Signals.watch(Self.signals, on: loop) { signal in
                guard signal != SIGHUP else {
                    // A service on its way out is not to say that it is ready.
                    return !rule.isStopping
                        ? reloadRequested.signal() : log.notice("SIGHUP: stopping, nothing is read anew")
                }
                switch rule.received(at: .now()) {
                case .drain:
                    log.notice("told to stop", metadata: [LogKeys.signal: "\(signal)"])
                    systemd.stopping("draining")
                    stop.signal()
                    rule.drainBegan(at: .now())
                case .ignore:
                    log.info(
                        "another stop signal within a second counts as the same one",
                        metadata: [LogKeys.signal: "\(signal)"])
                case .leave:
                    log.error("a second stop signal: leaving at once", metadata: [LogKeys.signal: "\(signal)"])
                    Glibc.exit(1)
                }
            }
        } catch {
            throw Failure(.internalError, "Cannot start", because: "signals can't be watched: \(error)")
        }
        return (stop, reloadRequested)
    }

    /// Feeds the watchdog until canceled, by the loop alone: a stuck database is no reason to kill a process with ends
    /// that are not saved.
    func feedWatchdog(on loop: EventLoop) async {
        guard let watchdog else { return }
        while (try? await loop.sleep(for: Instant.Duration(watchdog.interval))) != nil { systemd.watchdog() }
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
