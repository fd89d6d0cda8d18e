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
        try await daemon.run(
            [Service(dashboard)], on: loop,
            started: [LogKeys.version: "\(Version.number)", LogKeys.database: "\(database)"],
            status: "serving the dashboard",
            reload: { next in
                while await next() {
                    daemon.systemd.reloading()
                    daemon.log.notice(
                        "SIGHUP: the dashboard reads its settings when it starts; restart it to use others")
                    daemon.systemd.reloaded()
                }
            })
    }
}

extension Service {
    /// A dashboard.
    init(_ dashboard: DashboardServer) {
        self.init(
            run: { await dashboard.run() }, hasBegun: { await dashboard.isListening() },
            drain: { await dashboard.drain() })
    }
}
