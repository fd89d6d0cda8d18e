internal import HTTPServer

/// Twilio's status callbacks.
struct CallbackSettings: Equatable, Sendable {
    /// What Twilio is told to call.
    let publicURL: WebAddress
    /// Where otpd's own receiver listens. Nil when the backend receives callbacks itself and calls
    /// `otp.record_status`.
    let listen: ListenAddress?

    /// Nil, with nothing reported, when neither variable is set.
    static func read(_ reader: inout SettingsReader, hasKeyOnly: Bool) -> CallbackSettings? {
        let foundListen = reader.find(.callbackListen)
        let foundURL = reader.find(.callbackPublicURL)
        let (listen, publicURL) = parse(foundListen, foundURL, &reader)
        if !foundListen.isAbsent {
            if foundURL.isAbsent {
                reader.report(
                    .callbackListen, "is set without OTPD_CALLBACK_PUBLIC_URL; set that too, to what Twilio is to call")
            }
            if hasKeyOnly {
                reader.report(
                    .callbackListen,
                    "is set without TWILIO_AUTH_TOKEN; set that too, callbacks are signed with it alone")
            }
        }
        return publicURL.map { CallbackSettings(publicURL: $0, listen: listen) }
    }

    /// The same for the receiver alone, which needs both.
    static func readReceiver(_ reader: inout SettingsReader) -> (publicURL: WebAddress, listen: ListenAddress)? {
        let foundListen = reader.find(.callbackListen)
        let foundURL = reader.find(.callbackPublicURL)
        if foundListen.isAbsent {
            reader.report(.callbackListen, "is not set; set it to where callbacks are received, as 127.0.0.1:8080")
        }
        if foundURL.isAbsent {
            reader.report(
                .callbackPublicURL, "is not set; set it to what Twilio calls, as https://sms.example.com/status")
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
