internal import HTTP
internal import OTP

/// The URL that Twilio is told to call: whether a request gets to the receiver from here. From Twilio the way is another.
enum CallbackCheck {
    static let check = Check("callback-url", "Callback URL")

    /// Words of the receiver's own refusal of what is not signed.
    static let ownWords = "The signature is missing"

    private static let notTwilio = " (from this host; that Twilio gets there too shows in the console, Monitor, Errors)"

    /// What an unsigned POST came to. `hasReceiver` is whether otpd itself listens, by these settings.
    static func finding(_ url: WebAddress, _ answer: TwilioChecks.TwilioReply, hasReceiver: Bool) -> Finding {
        let place = "\(url.scheme.rawValue)://\(url.host)\(url.port.map { ":\($0)" } ?? "")"
        let listening =
            hasReceiver
            ? "Is it running, and does the proxy lead to OTPD_CALLBACK_LISTEN? ss -ltnp | grep otpd; journalctl -u otpd -n 20"
            : "Is the backend that receives callbacks running, and does the proxy lead to it?"
        switch answer {
        case .failure(let error): return unanswered(url, place, error)
        case .response(let status, let body):
            switch status {
            case 403 where String(decoding: body.prefix(500), as: UTF8.self).contains(ownWords):
                return pass(url, "otpd's receiver answers")
            case 403 where !hasReceiver, 400 where !hasReceiver:
                return pass(url, "what is there refuses what is not signed (\(status))")
            case 403:
                return check.warn(
                    "\(place) refuses (403), and not in the words of otpd's receiver: something in front of it does",
                    "Let the proxy or firewall pass POST \(url.path) through, whoever sends it: the signature is checked."
                )
            case 200..<300:
                return hasReceiver
                    ? check.fail(
                        .configuration, "something else than otpd's receiver answers at \(place) (\(status))",
                        "Correct OTPD_CALLBACK_PUBLIC_URL, or where the proxy leads POST \(url.path).")
                    : check.warn(
                        "\(place) takes a status that is not signed (\(status)): anybody can tell it that a message arrived",
                        "Check X-Twilio-Signature in the backend before it calls otp.record_status.")
            case 300..<400:
                return check.fail(
                    .configuration, "\(place) redirects (\(status)): a signature is of the URL that was called",
                    "Set OTPD_CALLBACK_PUBLIC_URL to where it leads: curl -sSi -X POST \(place)\(url.path)")
            case 401:
                return check.fail(
                    .configuration, "\(place) asks for a password (401), which Twilio does not have",
                    "Take the password off POST \(url.path) in the proxy: the signature is checked.")
            case 404:
                return check.fail(
                    .configuration,
                    "nothing is at that path (404): the proxy does not lead POST \(url.path) to the receiver",
                    "Let the proxy pass the whole path on unchanged. \(listening)")
            case 405, 415:
                return check.fail(
                    .configuration, "\(place) takes no form by POST there (\(status))",
                    "Let the proxy pass POST \(url.path) on. \(listening)")
            case 502, 503, 504:
                return check.fail(
                    .unreachable, "the proxy at \(place) does not get to the receiver (\(status))", listening)
            default:
                return check.fail(
                    .unreachable, "\(place) answers \(status)",
                    "See it: curl -sSi -X POST \(place)\(url.path). \(listening)")
            }
        }
    }

    private static func pass(_ url: WebAddress, _ words: String) -> Finding {
        guard url.scheme == .https else {
            return check.pass("\(words), on this machine's own address, which Twilio can't call: for a simulator alone")
        }
        return check.pass(words + notTwilio)
    }

    private static func unanswered(_ url: WebAddress, _ place: String, _ error: HTTPError) -> Finding {
        let host = url.host
        switch error.reason {
        case .notSent(.nameLookupFailed):
            return check.fail(
                .configuration, "the name \(host) can't be resolved",
                "Correct OTPD_CALLBACK_PUBLIC_URL. Try: getent hosts \(host)")
        case .notSent(.tlsFailed(let words)):
            return check.fail(
                .configuration, "the certificate of \(place) is not trusted, so Twilio does not call it: \(words)",
                "Look at it: openssl s_client -connect \(host):\(url.port ?? 443) -servername \(host) </dev/null; renew it, "
                    + "with its whole chain.")
        case .notSent, .unknown:
            let remedy =
                url.scheme == .https
                ? "From outside: curl -sSi -X POST \(place)\(url.path) should answer 403. Some networks do not lead back to "
                    + "their own public address: then this line says nothing."
                : "Is it running? systemctl status otpd; ss -ltnp | grep otpd"
            let found = "\(place) does not answer from here: \(reason(error))"
            return url.scheme == .https ? check.warn(found, remedy) : check.fail(.unreachable, found, remedy)
        case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup:
            return check.fail(.configuration, "\(error)", "Correct OTPD_CALLBACK_PUBLIC_URL.")
        }
    }

    private static func reason(_ error: HTTPError) -> String {
        switch error.reason {
        case .notSent(let why): "\(why)"
        case .unknown(let why): "\(why)"
        case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup: "\(error)"
        }
    }
}
