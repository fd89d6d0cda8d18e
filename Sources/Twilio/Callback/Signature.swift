internal import CCrypto
public import OTP

/// Checks that a status callback comes from Twilio: `X-Twilio-Signature`.
///
/// The signature is base64(HMAC-SHA1(auth token, URL + names and values)). The names are sorted by byte; repeated
/// values count once each and are sorted. With a JSON body, the URL carries `bodySHA256`, and only the URL is signed.
/// The URL is the configured public one, because behind a proxy the request's own URL differs.
public struct Signature: Sendable {
    /// The primary auth token. Twilio never signs with API keys.
    private let authToken: Secret

    public init(authToken: Secret) {
        self.authToken = authToken
    }

    /// Whether `signature` is Twilio's for a form. `parameters` are decoded and untrimmed, in any order.
    ///
    /// Twilio is inconsistent about the default port, so the URL is tried with and without it.
    public func isValid(_ signature: String, url: String, parameters: [(name: String, value: String)]) -> Bool {
        let suffix = Signature.signedParameters(parameters)
        return PublicURL.portForms(url).contains { form in
            isEqual(signature, to: sign(Array(form.utf8) + suffix))
        }
    }

    /// Whether `signature` is Twilio's for a JSON body: it signs the URL, and the URL carries the body's hash.
    public func isValid(_ signature: String, url: String, json body: Span<UInt8>) -> Bool {
        guard let claimed = PublicURL.query(url, "bodySHA256") else { return false }
        let isBody = ConstantTime.equal(
            Array(claimed.lowercased().utf8).span, Signature.hexadecimal(Digest.sha256(body)).span)
        return isValid(signature, url: url, parameters: []) && isBody
    }

    /// The signature that Twilio makes for a URL and form. For checks of the configuration and for tests.
    public func make(url: String, parameters: [(name: String, value: String)]) -> String {
        String(decoding: sign(Array(url.utf8) + Signature.signedParameters(parameters)), as: UTF8.self)
    }

    private func sign(_ message: [UInt8]) -> [UInt8] {
        let code = authToken.withBytes { key in Digest.hmacSHA1(key: key, message: message.span) }
        var text: [UInt8] = []
        Base64.append(code.span, to: &text)
        return text
    }

    private func isEqual(_ signature: String, to expected: [UInt8]) -> Bool {
        ConstantTime.equal(signature.utf8.span, expected.span)
    }

    private static func signedParameters(_ parameters: [(name: String, value: String)]) -> [UInt8] {
        // Sorted by bytes, because Swift orders strings by Unicode rules.
        var pairs = parameters.map { (name: Array($0.name.utf8), value: Array($0.value.utf8)) }
        pairs.sort {
            $0.name == $1.name
                ? $0.value.lexicographicallyPrecedes($1.value) : $0.name.lexicographicallyPrecedes($1.name)
        }
        var signed: [UInt8] = []
        var last: (name: [UInt8], value: [UInt8])?
        for pair in pairs {
            if let last, last == pair { continue }
            signed += pair.name
            signed += pair.value
            last = pair
        }
        return signed
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }
    }
}
