internal import Glibc

/// Environment variables that libraries read and that otpd removes before it uses any library.
///
/// Each of them could write secrets to a file, lead a connection elsewhere, or load code. None is a setting of otpd.
/// These variables stay: libpq's documented `PG*`, Kerberos's configuration and tickets for libpq, `TZ`, and
/// `RES_OPTIONS`, which sets timeouts of name lookups.
enum LibraryVariables {
    private static let names: Set<String> = [
        // These write session keys of TLS (libcurl, newer OpenSSL and libpq) or traces with secrets to a file.
        "SSLKEYLOGFILE", "PGSSLKEYLOGFILE", "PGOAUTHDEBUG", "KRB5_TRACE", "MALLOC_TRACE",
        // These make OpenSSL load code, settings and trusted certificates. OTPD_CA_FILE and PGSSLROOTCERT name the
        // trusted certificates.
        "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_ENGINES", "OPENSSL_MODULES", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "CTLOG_FILE", "RANDFILE",
        // These are libcurl's. All variables whose names end in _proxy are removed too.
        "CURL_CA_BUNDLE", "CURL_HOME", "CURL_SSL_BACKEND", "NETRC",
        // These change glibc's name lookups or make it load code. glibc ignores them in set-user-ID programs, too.
        "HOSTALIASES", "LOCALDOMAIN", "RESOLV_HOST_CONF", "RESOLV_ADD_TRIM_DOMAINS", "RESOLV_OVERRIDE_TRIM_DOMAINS",
        "RESOLV_MULTI", "RESOLV_REORDER", "RESOLV_SPOOF_CHECK", "NIS_PATH", "GCONV_PATH", "GETCONF_DIR", "LOCPATH",
        "NLSPATH",
    ]

    /// Whether otpd removes a variable of that name.
    static func isRemoved(_ name: String) -> Bool {
        names.contains(name) || name.lowercased().hasSuffix("_proxy")
    }

    /// The removed names, sorted. The first use of this constant removes them. It is at the very start of `main`, when
    /// no other code reads or changes the environment.
    static let removed: [String] = {
        let found = ProcessEnvironment.current().keys.filter(isRemoved).sorted()
        for name in found { unsafe _ = unsetenv(name) }
        return found
    }()

    static let remedy =
        "Unset them where otpd is started. otpd connects to Twilio without a proxy. For certificates, set OTPD_CA_FILE or "
        + "PGSSLROOTCERT."
}
