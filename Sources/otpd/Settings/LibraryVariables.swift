internal import Glibc

/// Environment variables that libraries read by themselves and that otpd takes away before it uses any library.
///
/// Each of them could write secrets to a file, lead a connection elsewhere, or load code, and none is a setting of otpd's.
/// What stays: libpq's documented `PG*`, Kerberos's configuration and tickets for libpq, `TZ`, and `RES_OPTIONS`, which
/// sets timeouts of name lookups.
enum LibraryVariables {
    private static let names: Set<String> = [
        // Session keys of TLS in a file (libcurl, newer OpenSSL and libpq), traces with secrets in them.
        "SSLKEYLOGFILE", "PGSSLKEYLOGFILE", "PGOAUTHDEBUG", "KRB5_TRACE", "MALLOC_TRACE",
        // OpenSSL: code and settings from files. Whom to trust is OTPD_CA_FILE and PGSSLROOTCERT.
        "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_ENGINES", "OPENSSL_MODULES", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "CTLOG_FILE", "RANDFILE",
        // libcurl, whose proxies are never used.
        "CURL_CA_BUNDLE", "CURL_HOME", "CURL_SSL_BACKEND", "NETRC",
        // glibc: where names lead, and code from files. It does not trust them in set-user-ID programs either.
        "HOSTALIASES", "LOCALDOMAIN", "RESOLV_HOST_CONF", "RESOLV_ADD_TRIM_DOMAINS", "RESOLV_OVERRIDE_TRIM_DOMAINS",
        "RESOLV_MULTI", "RESOLV_REORDER", "RESOLV_SPOOF_CHECK", "NIS_PATH", "GCONV_PATH", "GETCONF_DIR", "LOCPATH",
        "NLSPATH",
    ]

    /// Whether a variable of that name is taken away.
    static func isRemoved(_ name: String) -> Bool {
        names.contains(name) || name.lowercased().hasSuffix("_proxy")
    }

    /// The names that were taken away, in order. The first use, at the very start of `main`, takes them away: nothing else
    /// reads or changes the environment then.
    static let removed: [String] = {
        let found = ProcessEnvironment.current().keys.filter(isRemoved).sorted()
        for name in found { unsafe _ = unsetenv(name) }
        return found
    }()

    static let remedy =
        "Unset them where otpd is started. otpd connects to Twilio without a proxy; for certificates set OTPD_CA_FILE or PGSSLROOTCERT."
}
