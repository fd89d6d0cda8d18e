internal import FoundationEssentials
public import OTP

/// Reads status callbacks: the bytes of a request become a receipt that Twilio has signed.
///
/// Nothing is read before the signature is verified. Unknown parameters are ignored. Of a repeated parameter, the first
/// counts.
public struct CallbackReader: Sendable {
    /// The format of the body.
    public enum Format: Sendable, Hashable {
        /// `application/x-www-form-urlencoded`: its fields are signed.
        case form
        /// `application/json`: the URL is signed and carries the body's hash.
        case json
    }

    /// Why a request is not a callback. Holds no byte of the request.
    public enum Rejection: Error, Sendable, Hashable {
        /// The signature is not Twilio's for this URL and body.
        case signature
        /// Twilio signed the request, but it reports no message's status.
        case notStatus
    }

    private let signature: Signature
    /// The configured URL in the forms that Twilio may have called. A URL without a path also counts with the path `/`.
    private let urls: [String]
    /// The path of the requests, at least `/`.
    public let path: String

    /// - Parameter publicURL: the URL that Twilio was given, without the query that names the attempt.
    public init(publicURL: String, authToken: Secret) {
        signature = Signature(authToken: authToken)
        path = PublicURL.path(publicURL)
        urls = PublicURL.hasPath(publicURL) ? [publicURL] : [publicURL, publicURL + "/"]
    }

    /// Reads the receipt in a request.
    ///
    /// - Parameters:
    /// - query: of the request's own target, from the `?` on, as sent; empty if there is none.
    ///   - signature: `X-Twilio-Signature`.
    public func read(_ body: Span<UInt8>, as format: Format, query: String, signature text: String)
        throws(Rejection) -> Receipt
    {
        var fields: [(name: String, value: String)] = []
        switch format {
        case .form:
            guard let decoded = FormFields.decode(body) else { throw .signature }
            fields = decoded
            guard urls.contains(where: { signature.isValid(text, url: $0 + query, parameters: decoded) }) else {
                throw .signature
            }
        case .json:
            // A closure cannot capture the span.
            var isSigned = false
            for url in urls where signature.isValid(text, url: url + query, json: body) { isSigned = true }
            guard isSigned else { throw .signature }
            guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: body)) else { throw .notStatus }
            fields = [("MessageSid", wire.sid), ("MessageStatus", wire.status)]
            if let code = wire.errorCode?.value { fields.append(("ErrorCode", String(code))) }
        }
        func first(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        let code = first("ErrorCode").flatMap { Int32($0) } ?? 0
        guard let sid = first("MessageSid").flatMap({ MessageSID($0) }), let status = first("MessageStatus"),
            let receipt = Receipt(
                sid: sid, status: MessageStatus(rawValue: status), errorCode: code > 0 ? code : nil,
                attempt: PublicURL.query(query, CreateMessage.referenceName).flatMap { AttemptReference($0) })
        else { throw .notStatus }
        return receipt
    }

    /// The members that otpd reads.
    private struct Wire: Decodable {
        let sid: String
        let status: String
        let errorCode: LenientInt?

        enum CodingKeys: String, CodingKey {
            case sid = "MessageSid"
            case status = "MessageStatus"
            case errorCode = "ErrorCode"
        }
    }
}
