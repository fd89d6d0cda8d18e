internal import FoundationEssentials

/// A number or a short code of an account, as in a list of them.
public struct SenderResource: Sendable, Hashable {
    /// A number in E.164, or a short code.
    public let number: String
    /// Whether it can send SMS; nil if Twilio does not say. A short code always can.
    public let sendsSMS: Bool?

    /// The entries of a list of incoming phone numbers, or of short codes; nil if the bytes are neither.
    public static func list(json bytes: Span<UInt8>) -> [SenderResource]? {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)) else { return nil }
        if let numbers = wire.numbers {
            return numbers.map { SenderResource(number: $0.number, sendsSMS: $0.capabilities?.sms) }
        }
        return wire.shortCodes?.map { SenderResource(number: $0.shortCode, sendsSMS: true) }
    }

    private struct Wire: Decodable {
        let numbers: [Number]?
        let shortCodes: [ShortCode]?

        enum CodingKeys: String, CodingKey {
            case numbers = "incoming_phone_numbers"
            case shortCodes = "short_codes"
        }
    }

    private struct Number: Decodable {
        let number: String
        let capabilities: Capabilities?

        enum CodingKeys: String, CodingKey {
            case number = "phone_number"
            case capabilities
        }
    }

    /// In lower case in JSON. Twilio's older answers had `SMS`.
    private struct Capabilities: Decodable {
        let sms: Bool?

        private enum Key: String, CodingKey {
            case sms
            case older = "SMS"
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            sms =
                try values.decodeIfPresent(Bool.self, forKey: .sms) ?? values.decodeIfPresent(Bool.self, forKey: .older)
        }
    }

    private struct ShortCode: Decodable {
        let shortCode: String

        enum CodingKeys: String, CodingKey {
            case shortCode = "short_code"
        }
    }
}
