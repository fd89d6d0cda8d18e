internal import CLinux
internal import EventLoop
internal import Glibc
internal import Logging
internal import Postgres
internal import Runtime

/// The parts of the program that every long-running command needs: signals, systemd and its watchdog.
struct Daemon: Sendable {
    let log: Logger
    let systemd: Systemd
    private let watchdog: Watchdog?

    /// The signals that the event loop handles.
    private static let signals = [SIGTERM, SIGINT, SIGHUP]

    /// Blocks the signals. Call it before another thread starts, so that every thread leaves them to the loop.
    static func blockSignals() { Signals.block(signals) }

    /// Checks everything that can be checked before anything is started.
    init(_ database: DatabaseSettings, environment: [String: String], _ log: Logger) throws(Failure) {
        do {
            try Database.settings(database).validate()
        } catch {
            throw Failure(.configuration, "cannot start", because: "DATABASE_URL: \(error)")
        }
        if !LibraryVariables.removed.isEmpty {
            log.warning(
                "removed variables of libraries from the environment",
                metadata: [
                    LogKeys.variables: "\(LibraryVariables.removed.joined(separator: " "))",
                    LogKeys.remedy: "\(LibraryVariables.remedy)",
                ])
        }
        // A core dump would hold codes and credentials.
        if prctl_set_undumpable() != 0 { log.warning("cannot switch off core dumps") }
        do throws(NotifierError) {
            systemd = Systemd(try Notifier.connect(environment: environment), log)
        } catch {
            throw Failure(.configuration, "cannot start", because: "\(error)")
        }
        do throws(WatchdogError) {
            watchdog = try Watchdog.read(environment: environment, processID: getpid())
        } catch {
            throw Failure(.configuration, "cannot start", because: "\(error)")
        }
        self.log = log
    }

    /// Returns two latches: one is signalled by a stop signal, the other by SIGHUP. A later second stop signal ends the
    /// process at once: see `StopRule`.
    func signals(on loop: EventLoop) throws(Failure) -> (stop: Latch, reloadRequested: Latch) {
        let stop = Latch(on: loop)
        let reloadRequested = Latch(on: loop)
        var rule = StopRule()
        do {
            try Signals.watch(Self.signals, on: loop) { signal in
                guard signal != SIGHUP else {
                    // The end of a reload tells systemd that the service is ready. While it stops, that is wrong.
                    return !rule.isStopping
                        ? reloadRequested.signal() : log.notice("SIGHUP ignored: otpd is stopping")
                }
                switch rule.received(at: .now()) {
                case .drain:
                    log.notice("received a stop signal", metadata: [LogKeys.signal: "\(signal)"])
                    systemd.stopping("draining")
                    stop.signal()
                    rule.drainBegan(at: .now())
                case .ignore:
                    log.info(
                        "ignored a stop signal within a second of the first one",
                        metadata: [LogKeys.signal: "\(signal)"])
                case .leave:
                    log.error("received a second stop signal: exiting at once", metadata: [LogKeys.signal: "\(signal)"])
                    Glibc.exit(1)
                }
            }
        } catch {
            throw Failure(.internalError, "cannot start", because: "signals cannot be watched: \(error)")
        }
        return (stop, reloadRequested)
    }

    /// Notifies the watchdog until canceled. It depends on the loop alone: a stuck database must not let systemd kill a
    /// process that holds unsaved results.
    func feedWatchdog(on loop: EventLoop) async {
        guard let watchdog else { return }
        while (try? await loop.sleep(for: Instant.Duration(watchdog.interval))) != nil { systemd.watchdog() }
    }
}

/// Notifies systemd. A notification that fails is only logged.
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
            log.warning("cannot notify systemd", metadata: [LogKeys.error: "\(error)"])
        }
    }
}
