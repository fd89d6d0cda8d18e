import Testing

@testable import otpd

@Suite struct LibraryVariableTests {
    @Test(arguments: [
        "SSLKEYLOGFILE", "PGSSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_MODULES", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
        "ftp_proxy", "CURL_CA_BUNDLE", "HOSTALIASES", "LOCALDOMAIN", "RESOLV_HOST_CONF", "GCONV_PATH", "KRB5_TRACE",
        "PGOAUTHDEBUG", "MALLOC_TRACE",
    ])
    func removed(name: String) { #expect(LibraryVariables.isRemoved(name)) }

    @Test(arguments: [
        "DATABASE_URL", "PGHOST", "PGPASSFILE", "PGSERVICEFILE", "PGSSLROOTCERT", "PGSSLMODE", "PGOPTIONS", "HOME",
        "PATH",
        "TZ", "LANG", "RES_OPTIONS", "KRB5_CONFIG", "KRB5CCNAME", "OTPD_CA_FILE", "TWILIO_AUTH_TOKEN", "NOTIFY_SOCKET",
        "CREDENTIALS_DIRECTORY", "proxy", "",
    ])
    func kept(name: String) { #expect(!LibraryVariables.isRemoved(name)) }

    /// Each setting of otpd's stays.
    @Test func settingsAreKept() {
        for name in SettingName.allCases { #expect(!LibraryVariables.isRemoved(name.rawValue)) }
    }

    @Test func theDoctorNamesThem() {
        #expect(SettingsChecks.removed([]).isEmpty)
        let finding = SettingsChecks.removed(["SSLKEYLOGFILE", "http_proxy"])[0]
        #expect(finding.verdict == .warn && finding.found.contains("SSLKEYLOGFILE, http_proxy"))
    }
}
