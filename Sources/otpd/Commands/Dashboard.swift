internal import ArgumentParser
internal import EventLoop
internal import Logging
internal import Runtime

/// `otpd dashboard`: serves the dashboard and does nothing else.
struct DashboardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Serve a read-only web page with the status and plots, metrics for Prometheus, and health checks.",
        discussion: """
            The page is at http://127.0.0.1:9464/ unless you set OTPD_DASHBOARD_LISTEN. Any address but a loopback \
            address needs OTPD_DASHBOARD_TOKEN. Connect as a member of otp_monitor. If OTPD_DASHBOARD_LISTEN is set, \
            otpd run serves the dashboard too.
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
                    daemon.log.notice("SIGHUP ignored: restart the dashboard to use other settings")
                    daemon.systemd.reloaded()
                }
            })
    }
}

extension Service {
    /// The dashboard as a service.
    init(_ dashboard: DashboardServer) {
        self.init(
            run: { await dashboard.run() }, hasBegun: { await dashboard.isListening() },
            drain: { await dashboard.drain() })
    }
}
