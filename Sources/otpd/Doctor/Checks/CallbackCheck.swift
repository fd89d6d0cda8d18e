internal import HTTP
internal import OTP

/// Checks whether a request from this host to the URL that Twilio calls reaches the receiver. Twilio's own requests may
/// take another way.
enum CallbackCheck {
    static let check = Check("callback-url", "Callback URL")

    /// The beginning of the receiver's own answer to a request without a signature.
    static let ownWords = "The signature is missing"

    private static let notTwilio =
        "This was tried from this host. Whether Twilio reaches it too is in the console: Monitor, Logs, Errors."

    /// The finding for the answer to a POST without a signature. `hasReceiver` says whether otpd itself receives
    /// callbacks.
    static func finding(_ url: WebAddress, _ answer: HTTPAnswer, hasReceiver: Bool) -> Finding {
        let place = "\(url.scheme.rawValue)://\(url.host)\(url.port.map { ":\($0)" } ?? "")"
        let listening =
            hasReceiver
            ? "Check that otpd runs, and that the proxy passes requests to OTPD_CALLBACK_LISTEN: ss -ltnp | grep otpd"
            : "Check that the backend that receives callbacks runs, and that the proxy passes requests to it."
        switch answer {
        case .failure(let error): return unanswered(url, place, error)
        case .response(let status, let body):
            switch status {
            case 403 where String(decoding: body.prefix(500), as: UTF8.self).contains(ownWords):
                return pass(url, "The receiver of otpd answers.")
            case 403 where !hasReceiver, 400 where !hasReceiver:
                return pass(url, "The receiver refuses requests without a signature (\(status)).")
            case 403:
                return check.warn(
                    "\(place) refuses the request (403), but the answer is not that of otpd's receiver.",
                    "Let the proxy or firewall pass every POST \(url.path) to otpd, which checks the signature.")
            case 200..<300:
                return hasReceiver
                    ? check.fail(
                        .configuration, "Another program than otpd's receiver answers at \(place) (\(status)).",
                        "Correct OTPD_CALLBACK_PUBLIC_URL, or let the proxy pass POST \(url.path) to OTPD_CALLBACK_LISTEN."
                    )
                    : check.warn(
                        "\(place) accepts a status without a signature (\(status)), so anyone can send false statuses.",
                        "Let the backend check X-Twilio-Signature before it calls otp.record_status.")
            case 300..<400:
                return check.fail(
                    .configuration,
                    "\(place) redirects the request (\(status)). Twilio signs the URL that it calls, so signatures fail.",
                    "Set OTPD_CALLBACK_PUBLIC_URL to the target of the redirect: curl -sSi -X POST \(place)\(url.path)")
            case 401:
                return check.fail(
                    .configuration, "\(place) asks for a password (401), which Twilio does not have.",
                    "Let the proxy pass POST \(url.path) without a password. The receiver checks the signature.")
            case 404:
                return check.fail(
                    .configuration,
                    "The path does not exist (404): the proxy does not pass POST \(url.path) to the receiver.",
                    "Let the proxy pass the whole path without a change. \(listening)")
            case 405, 415:
                return check.fail(
                    .configuration, "\(place) takes no form by POST (\(status)).",
                    "Let the proxy pass POST \(url.path) to the receiver. \(listening)")
            case 502, 503, 504:
                return check.fail(
                    .unreachable, "The proxy at \(place) cannot reach the receiver (\(status)).", listening)
            default:
                return check.fail(
                    .unreachable, "\(place) answers with HTTP status \(status).",
                    "\(listening) See the answer: curl -sSi -X POST \(place)\(url.path)")
            }
        }
    }

    private static func pass(_ url: WebAddress, _ words: String) -> Finding {
        guard url.scheme == .https else {
            return check.pass("\(words) Twilio cannot call this address of this machine: it is for a simulator.")
        }
        return check.pass("\(words) \(notTwilio)")
    }

    private static func unanswered(_ url: WebAddress, _ place: String, _ error: HTTPError) -> Finding {
        let host = url.host
        switch error.reason {
        case .notSent(.nameLookupFailed):
            return check.fail(
                .configuration, "The name \(host) cannot be resolved.",
                "Correct OTPD_CALLBACK_PUBLIC_URL, or the name's DNS entry: getent hosts \(host)")
        case .notSent(.tlsFailed(let words)):
            return check.fail(
                .configuration, "The certificate of \(place) is not trusted, so Twilio does not call it: \(words)",
                "Renew the certificate with its whole chain. To see it: openssl s_client -connect "
                    + "\(host):\(url.port ?? 443) -servername \(host) </dev/null")
        case .notSent, .unknown:
            let remedy =
                url.scheme == .https
                ? "Some networks do not lead back to their own public address, and then this warning means nothing. "
                    + "Try from another network, where the answer must be 403: curl -sSi -X POST \(place)\(url.path)"
                : "Check that otpd runs and listens: systemctl status otpd; ss -ltnp | grep otpd"
            let found = "\(place) does not answer from this host: \(reason(error))"
            return url.scheme == .https ? check.warn(found, remedy) : check.fail(.unreachable, found, remedy)
        case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup:
            return check.fail(.configuration, Sentence.whole("\(error)"), "Correct OTPD_CALLBACK_PUBLIC_URL.")
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
