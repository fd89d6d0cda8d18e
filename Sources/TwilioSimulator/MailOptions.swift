import ArgumentParser
import Glibc

/// The options of the sink of e-mails.
struct MailOptions: ParsableArguments {
    @Option(help: "Port for e-mails over SMTP; 0 for a free one. Printed as: listening on smtp://127.0.0.1:PORT")
    var smtpPort: Int?

    @Option(help: "Port for e-mails over TLS from the first byte; 0 for a free one. Needs a certificate.")
    var smtpsPort: Int?

    @Option(help: "Certificate for STARTTLS and --smtps-port: a PEM file. Needs --smtp-key.")
    var smtpCertificate: String?

    @Option(help: "The certificate's key: a PEM file.")
    var smtpKey: String?

    @Option(
        help: "Make a certificate for localhost and 127.0.0.1, and write it to this PEM file, for OTPD_CA_FILE.")
    var smtpSelfSigned: String?

    @Option(help: "The largest mail, in bytes.")
    var smtpMaxBytes = 10 << 20

    /// Nil without a port.
    func settings() throws -> MailSettings? {
        guard (smtpCertificate == nil) == (smtpKey == nil) else {
            throw ValidationError("--smtp-certificate and --smtp-key need each other")
        }
        guard smtpCertificate == nil || smtpSelfSigned == nil else {
            throw ValidationError("give --smtp-certificate or --smtp-self-signed, not both")
        }
        guard smtpPort != nil || smtpsPort != nil else { return nil }
        var settings = MailSettings()
        settings.port = smtpPort
        settings.tlsPort = smtpsPort
        if let smtpCertificate, let smtpKey {
            settings.certificate = .files(certificate: smtpCertificate, key: smtpKey)
        }
        if let smtpSelfSigned { settings.certificate = .selfSigned(path: smtpSelfSigned) }
        guard smtpsPort == nil || settings.certificate != nil else {
            throw ValidationError("--smtps-port needs --smtp-certificate or --smtp-self-signed")
        }
        guard smtpMaxBytes > 0 else { throw ValidationError("--smtp-max-bytes must be 1 or more") }
        settings.rules.offersTLS = settings.certificate != nil
        settings.rules.maxBytes = smtpMaxBytes
        settings.rules.user = Variables.value("TWILIO_SIMULATOR_SMTP_USERNAME")
        settings.rules.password = Variables.value("TWILIO_SIMULATOR_SMTP_PASSWORD")
        return settings
    }
}

/// The program's environment.
enum Variables {
    /// The value of a variable; nil if it is empty or not set.
    static func value(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
