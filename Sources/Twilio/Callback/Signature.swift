internal import CCrypto
public import OTP

/// Checks that a status callback comes from Twilio: `X-Twilio-Signature`.
///
/// base64(HMAC-SHA1(auth token, URL + names and values)), names sorted by byte, repeated values once each and sorted;
/// with a JSON body the URL carries `bodySHA256` and nothing but the URL is signed. The URL is the configured public
/// one, not the request's: behind a proxy they differ. Vectors: shared/reference/signature_vectors.md.
public struct Signature: Sendable {
    /// The primary auth token: API keys never sign.
    private let authToken: Secret

    public init(authToken: Secret) {
        self.authToken = authToken
    }

    /// Whether `signature` is Twilio's for a form. `parameters` decoded, untrimmed, in any order.
    ///
    /// Twilio is inconsistent about the default port, so the URL counts with and without it.
    public func isValid(_ signature: String, url: String, parameters: [(name: String, value: String)]) -> Bool {
        let suffix = Signature.signedParameters(parameters)
        return PublicURL.portForms(url).contains { form in
            isEqual(signature, to: sign(Array(form.utf8) + suffix))
        }
    }

    /// Whether `signature` is Twilio's for a JSON body: the URL's, and the body is the one whose hash the URL carries.
    public func isValid(_ signature: String, url: String, json body: Span<UInt8>) -> Bool {
        guard let claimed = PublicURL.query(url, "bodySHA256") else { return false }
        let isBody = ConstantTime.equal(
            Array(claimed.lowercased().utf8).span, Signature.hexadecimal(Digest.sha256(body)).span)
        return isValid(signature, url: url, parameters: []) && isBody
    }

    /// The signature of a URL and form, as Twilio makes it; for checks of the configuration, and for tests.
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
        // By bytes: Swift's own order of strings is that of Unicode.
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
