internal import FoundationEssentials
public import OTP

/// A message as Twilio describes it, fetched or listed. Unknown fields and new words are tolerated.
///
/// Never prints the text or the numbers, because the text holds the code.
public struct MessageResource: Sendable {
    public let sid: MessageSID
    public let status: MessageStatus
    /// Nil unless the message failed.
    public let errorCode: Int?
    /// Segments billed; nil or 0 while a messaging service has not chosen a sender.
    public let segments: Int?
    /// A negative decimal such as `-0.00750`, verbatim, because a floating-point number would change the amount. Nil at
    /// first.
    public let price: String?
    /// ISO 4217, such as `USD`.
    public let priceUnit: String?
    /// The sender: the messaging service that took the message, or else the number or name. Nil if Twilio names
    /// neither.
    public let sender: String?
    /// Seconds since 1970, from RFC 2822.
    public let createdAt: Int64?
    public let sentAt: Int64?
    /// The recipient in E.164, sealed.
    public let to: Secret?
    /// The text, sealed. Empty once redacted.
    public let body: Secret?

    /// Why an answer is not a message. Holds no byte of the answer.
    public enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
        case notMessage
        case notPage

        public var description: String {
            switch self {
            case .notMessage: "Twilio's answer is not a message. Check TWILIO_API_BASE_URL and any proxy in between."
            case .notPage:
                "Twilio's answer is not a list of messages. Check TWILIO_API_BASE_URL and any proxy in between."
            }
        }
    }

    /// Decodes the answer to a fetch.
    public init(json bytes: Span<UInt8>) throws(Problem) {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)),
            let message = MessageResource(wire)
        else { throw .notMessage }
        self = message
    }

    init?(_ wire: Wire) {
        guard let sid = MessageSID(wire.sid), !sid.isCall, !sid.isMail else { return nil }
        self.sid = sid
        status = MessageStatus(rawValue: wire.status)
        errorCode = wire.errorCode?.value
        segments = wire.segments?.value
        price = wire.price
        priceUnit = wire.priceUnit
        sender = [wire.service, wire.from].lazy.compactMap(\.self)
            .first { (1...64).contains($0.utf8.count) && $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } }
        createdAt = wire.createdAt.flatMap(InternetDate.seconds(_:))
        sentAt = wire.sentAt.flatMap(InternetDate.seconds(_:))
        to = wire.to.map { Secret($0) }
        body = wire.body.map { Secret($0) }
    }

    /// The fields as Twilio writes them.
    struct Wire: Decodable {
        let sid: String
        let status: String
        let errorCode: LenientInt?
        let segments: LenientInt?
        let price: String?
        let priceUnit: String?
        let from: String?
        let service: String?
        let createdAt: String?
        let sentAt: String?
        let to: String?
        let body: String?

        enum CodingKeys: String, CodingKey {
            case sid, status, price, from, to, body
            case errorCode = "error_code"
            case segments = "num_segments"
            case priceUnit = "price_unit"
            case service = "messaging_service_sid"
            case createdAt = "date_created"
            case sentAt = "date_sent"
        }
    }
}

extension MessageResource: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "message \(sid) (\(status))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["sid": sid.description, "status": status.rawValue]) }
}

/// One page of a list of messages.
public struct MessagePage: Sendable {
    public let messages: [MessageResource]
    /// The path and query of the next page; nil on the last. Always a path of Twilio's API, never another host.
    public let nextPage: String?

    /// Decodes the answer to a list. One unreadable message makes the whole page invalid, because a lookup that
    /// overlooks a message would cause a second send.
    public init(json bytes: Span<UInt8>) throws(MessageResource.Problem) {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)) else { throw .notPage }
        var messages: [MessageResource] = []
        for message in wire.messages {
            guard let message = MessageResource(message) else { throw .notPage }
            messages.append(message)
        }
        if let next = wire.nextPage, !NextPage.isPath(next) { throw .notPage }
        self.messages = messages
        nextPage = wire.nextPage
    }

    private struct Wire: Decodable {
        let messages: [MessageResource.Wire]
        let nextPage: String?

        enum CodingKeys: String, CodingKey {
            case messages
            case nextPage = "next_page_uri"
        }
    }
}

/// The link of one page of a list to the next one.
enum NextPage {
    /// Whether it is a path of Twilio's API. The next request carries the credentials, so it must not go to another host.
    static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/2010-04-01/") && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
