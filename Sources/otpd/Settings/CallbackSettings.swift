internal import HTTPServer

/// The settings for Twilio's status callbacks.
struct CallbackSettings: Equatable, Sendable {
    /// The URL that Twilio calls.
    let publicURL: WebAddress
    /// The address of otpd's receiver. Nil when the backend receives callbacks and calls `otp.record_status`.
    let listen: ListenAddress?

    /// Reads the settings. Nil when neither variable is set, or when a problem was reported.
    static func read(_ reader: inout SettingsReader, hasKeyOnly: Bool) -> CallbackSettings? {
        let foundListen = reader.find(.callbackListen)
        let foundURL = reader.find(.callbackPublicURL)
        let (listen, publicURL) = parse(foundListen, foundURL, &reader)
        if !foundListen.isAbsent {
            if foundURL.isAbsent {
                reader.report(
                    .callbackListen,
                    "is set without OTPD_CALLBACK_PUBLIC_URL. Set the latter to the URL that Twilio calls.")
            }
            if hasKeyOnly {
                reader.report(
                    .callbackListen,
                    "is set without TWILIO_AUTH_TOKEN. Set the token even beside an API key: it signs callbacks.")
            }
        }
        return publicURL.map { CallbackSettings(publicURL: $0, listen: listen) }
    }

    /// Reads the settings of `otpd callbacks`, which needs both variables.
    static func readReceiver(_ reader: inout SettingsReader) -> (publicURL: WebAddress, listen: ListenAddress)? {
        let foundListen = reader.find(.callbackListen)
        let foundURL = reader.find(.callbackPublicURL)
        if foundListen.isAbsent {
            reader.report(
                .callbackListen, "is not set. Set it to the address that receives callbacks, such as 127.0.0.1:8080")
        }
        if foundURL.isAbsent {
            reader.report(
                .callbackPublicURL,
                "is not set. Set it to the URL that Twilio calls, such as https://sms.example.com/status")
        }
        let (listen, publicURL) = parse(foundListen, foundURL, &reader)
        guard let listen, let publicURL else { return nil }
        return (publicURL, listen)
    }

    private static func parse(
        _ listen: SettingsReader.Found, _ publicURL: SettingsReader.Found, _ reader: inout SettingsReader
    ) -> (ListenAddress?, WebAddress?) {
        (
            listen.value.flatMap {
                reader.parse($0, .callbackListen) { (text: String) throws(InvalidValue) in try ListenAddress(text) }
            },
            publicURL.value.flatMap {
                reader.parse($0, .callbackPublicURL) { (text: String) throws(InvalidValue) in try WebAddress(text) }
            }
        )
    }
}
