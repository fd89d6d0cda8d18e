internal import Postgres

/// Checks that a connection to another machine is encrypted, and that libpq verifies the server's certificate.
enum EncryptionCheck {
    static let check = Check("database-encryption", "Database encryption")

    static func finding(_ security: ConnectionSecurity, _ remedies: Remedies = Remedies()) -> Finding {
        if security.isLocal { return check.pass("The connection stays on this machine.") }
        let remedy = remedies.verified(libpqVersion: security.libpqVersion)
        guard security.isEncrypted else {
            return check.warn(
                "The connection to \(security.host) is not encrypted (sslmode=\(security.mode)). The network between can "
                    + "read and change what otpd reads and writes.", remedy)
        }
        guard security.isVerified else {
            return check.warn(
                "The connection to \(security.host) is encrypted, but the server's certificate is not verified (sslmode="
                    + "\(security.mode)). Another machine could take the server's place.", remedy)
        }
        if security.hasGSS { return check.pass("encrypted with GSSAPI") }
        return check.pass(
            security.mode == "verify-full"
                ? "encrypted, with a verified certificate and host name (sslmode=verify-full)"
                : "encrypted, with a certificate of a trusted authority (sslmode=\(security.mode))")
    }
}
