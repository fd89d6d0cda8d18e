internal import FoundationEssentials
public import OTP

/// What Twilio answered about the risk that a number takes part in SMS pumping
/// (`GET /v2/PhoneNumbers/{number}?Fields=sms_pumping_risk` of Lookup).
public enum NumberRisk: Sendable, Hashable {
    /// The risk, from 0 to 100.
    case score(Int)
    /// Twilio knows no risk of this number.
    case unknown
    /// There is no usable answer.
    case failed(Failure)

    /// Why there is no usable answer.
    public enum Failure: Sendable, Hashable {
        /// Twilio refuses the request, for example because the credentials may not look up numbers. `code` is Twilio's
        /// error code, if it gave one.
        case refused(code: Int?)
        /// Twilio takes nothing for now.
        case throttled
        /// Twilio cannot be reached, or has an error of its own.
        case noAnswer
        /// The answer is not one of Twilio's.
        case unreadable
        /// The answer is about another number.
        case otherNumber
        /// The answer took too long.
        case late
    }

    /// Lookup has no data about the number, for example because its country is not covered.
    static let noData = 60600

    /// Reads an answer with that status of HTTP. An answer that names another number decides nothing, and neither does
    /// the page of a proxy.
    public init(status: Int, body: Span<UInt8>, about number: PhoneNumber) {
        switch status {
        case 200: self = Self.read(body, number)
        case 429: self = .failed(.throttled)
        // What a server asks to be repeated.
        case 408, 425: self = .failed(.noAnswer)
        case 400..<500: self = .failed(.refused(code: ErrorBody(body)?.code))
        default: self = .failed(.noAnswer)
        }
    }

    private static func read(_ body: Span<UInt8>, _ number: PhoneNumber) -> NumberRisk {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: body)) else {
            return .failed(.unreadable)
        }
        guard let answered = try? PhoneNumber(e164: wire.number), answered == number else {
            return .failed(.otherNumber)
        }
        // Null for a number that is invalid by Twilio's tables.
        guard let risk = wire.risk else { return .unknown }
        if let score = risk.score {
            return (0...100).contains(score) ? .score(Int(score.rounded(.up))) : .failed(.unreadable)
        }
        guard let code = risk.code, code != noData else { return .unknown }
        return .failed(.refused(code: code))
    }

    private struct Wire: Decodable {
        let number: String
        let risk: Risk?

        enum CodingKeys: String, CodingKey {
            case number = "phone_number"
            case risk = "sms_pumping_risk"
        }
    }

    private struct Risk: Decodable {
        let score: Double?
        let code: Int?

        enum CodingKeys: String, CodingKey {
            case score = "sms_pumping_risk_score"
            case code = "error_code"
        }
    }
}
