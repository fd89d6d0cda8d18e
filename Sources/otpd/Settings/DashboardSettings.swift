internal import HTTPServer
internal import OTP

/// The settings of the dashboard, its metrics and its health checks.
struct DashboardSettings: Equatable, Sendable {
    let listen: ListenAddress
    /// The token that readers must send. Nil only on a loopback address.
    let token: Secret?

    /// The address of `otpd dashboard` when no address is set.
    static let standard = ListenAddress(host: "127.0.0.1", port: 9464)

    /// Reads the settings. Nil when no address is set and there is no default, or when a problem was reported. The
    /// token is checked in any case.
    static func read(_ reader: inout SettingsReader, default standard: ListenAddress? = nil) -> DashboardSettings? {
        let foundToken = reader.find(.dashboardToken)
        let token = foundToken.value.flatMap { reader.parse($0, .dashboardToken, CodeSecrets.secret) }
        let foundListen = reader.find(.dashboardListen)
        if foundListen.isAbsent { return standard.map { DashboardSettings(listen: $0, token: token) } }
        let listen = foundListen.value.flatMap {
            reader.parse($0, .dashboardListen) { (text: String) throws(InvalidValue) in try ListenAddress(text) }
        }
        guard let listen else { return nil }
        if !listen.isLoopback, foundToken.isAbsent {
            reader.report(
                .dashboardListen,
                "is not a loopback address, and OTPD_DASHBOARD_TOKEN is not set. Listen on 127.0.0.1, or set a token. "
                    + "Make one: openssl rand -hex 32")
        }
        return DashboardSettings(listen: listen, token: token)
    }
}
