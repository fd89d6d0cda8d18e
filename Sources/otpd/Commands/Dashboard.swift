internal import ArgumentParser
internal import EventLoop
internal import Logging
internal import Runtime

/// `otpd dashboard`: the page for browsers alone.
struct DashboardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Serve a read-only page that shows what otpd status shows, with plots; /metrics and probes too.",
        discussion: """
            At http://127.0.0.1:9464/ unless OTPD_DASHBOARD_LISTEN says otherwise; any address but loopback needs \
            OTPD_DASHBOARD_TOKEN. As a member of otp_monitor. `otpd run` serves it too where OTPD_DASHBOARD_LISTEN is set.
            """)

    func run() throws {
        Daemon.blockSignals()
        let environment = ProcessEnvironment.current()
        let settings = try CommandSettings.dashboard()
        let log = settings.log.logger(label: "otpd", environment: environment)
        for warning in settings.warnings { log.warning("\(warning)") }
        let daemon = try Daemon(settings.database, environment: environment, log)
        try onLoop { loop in try await Self.run(settings, on: loop, daemon) }
    }

    private static func run(
        _ settings: Settings.DashboardOnly, on loop: EventLoop, _ daemon: Daemon
    ) async throws {
        let database = Database.settings(settings.database)
        let dashboard = DashboardServer(settings.dashboard, database, on: loop, log: daemon.log)
        let (stop, hangUp) = try daemon.signals(on: loop)
        enum Ended {
            case dashboard(Failure?)
            case other
        }
        let failure = await withTaskGroup(of: Ended.self) { group -> Failure? in
            group.addTask { .dashboard(await dashboard.run()) }
            group.addTask {
                guard await dashboard.isListening() else { return .other }
                daemon.log.notice(
                    "started",
                    metadata: [LogKeys.version: "\(Version.number)", LogKeys.database: "\(database)"])
                daemon.systemd.ready("serving the dashboard")
                await stop.wait()
                if !Task.isCancelled { await dashboard.drain() }
                return .other
            }
            group.addTask {
                while true {
                    await hangUp.wait()
                    if Task.isCancelled { return .other }
                    daemon.systemd.reloading()
                    daemon.log.notice(
                        "SIGHUP: the dashboard reads its settings when it starts; restart it to use others")
                    daemon.systemd.reloaded()
                }
            }
            group.addTask {
                await daemon.feedWatchdog(on: loop)
                return .other
            }
            while let ended = await group.next() {
                guard case .dashboard(let failure) = ended else { continue }
                group.cancelAll()
                return failure
            }
            return nil
        }
        if let failure { throw failure }
        daemon.log.notice("stopped")
    }
}
