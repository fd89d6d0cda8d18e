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
        let listen = foundListen.value.flatMap {
            reader.parse($0, .callbackListen) { (text: String) throws(Refusal) in try ListenAddress(text) }
        }
        let publicURL = foundURL.value.flatMap {
            reader.parse($0, .callbackPublicURL) { (text: String) throws(Refusal) in try WebAddress(text) }
        }
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
        if !foundListen.isAbsent {
            reader.warnOfNoEffect(.callbackListen, "your backend has to receive them and call otp.record_status")
        }
        return publicURL.map { CallbackSettings(publicURL: $0, listen: listen) }
    }
}
