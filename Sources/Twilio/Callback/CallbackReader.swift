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
        /// Twilio signed the request, but it reports the status of no message and of no call.
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
            fields = wire.fields
        }
        func first(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        func number(_ name: String) -> Int32? { first(name).flatMap { Int32($0) }.flatMap { $0 > 0 ? $0 : nil } }
        // A call has fields of its own names. A request with a message's fields is about that message.
        let isCall = first("MessageSid") == nil
        guard let sid = first(isCall ? "CallSid" : "MessageSid").flatMap({ MessageSID($0) }), sid.isCall == isCall,
            !sid.isMail,
            let status = first(isCall ? "CallStatus" : "MessageStatus"),
            let receipt = Receipt(
                sid: sid, status: MessageStatus(rawValue: status), errorCode: number("ErrorCode"),
                sipCode: isCall ? number("SipResponseCode") : nil,
                attempt: PublicURL.query(query, CreateMessage.referenceName).flatMap { AttemptReference($0) })
        else { throw .notStatus }
        return receipt
    }

    /// The members that otpd reads.
    private struct Wire: Decodable {
        let messageSID: String?
        let messageStatus: String?
        let callSID: String?
        let callStatus: String?
        let errorCode: LenientInt?
        let sipCode: LenientInt?

        enum CodingKeys: String, CodingKey {
            case messageSID = "MessageSid"
            case messageStatus = "MessageStatus"
            case callSID = "CallSid"
            case callStatus = "CallStatus"
            case errorCode = "ErrorCode"
            case sipCode = "SipResponseCode"
        }

        /// As the fields of a form.
        var fields: [(name: String, value: String)] {
            let members: [(CodingKeys, String?)] = [
                (.messageSID, messageSID), (.messageStatus, messageStatus), (.callSID, callSID),
                (.callStatus, callStatus), (.errorCode, errorCode?.value.map(String.init)),
                (.sipCode, sipCode?.value.map(String.init)),
            ]
            return members.compactMap { name, value in value.map { (name.rawValue, $0) } }
        }
    }
}
