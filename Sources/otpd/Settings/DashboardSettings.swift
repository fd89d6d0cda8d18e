internal import HTTPServer
internal import OTP

/// The page for browsers, with what probes and scrapers read.
struct DashboardSettings: Equatable, Sendable {
    let listen: ListenAddress
    /// What whoever reads it has to know; nil only on loopback.
    let token: Secret?

    /// Where `otpd dashboard` listens when nothing is set.
    static let standard = ListenAddress(host: "127.0.0.1", port: 9464)

    /// Nil, where there is no address: none is set and there is no default, or it was reported. The token is checked in
    /// any case.
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
                "is not this machine's own 127.0.0.1 or [::1], and OTPD_DASHBOARD_TOKEN is not set; set that too (make "
                    + "one with: openssl rand -hex 32), or listen on 127.0.0.1")
        }
        return DashboardSettings(listen: listen, token: token)
    }
}
