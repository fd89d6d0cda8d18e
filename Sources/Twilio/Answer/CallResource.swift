internal import FoundationEssentials
public import OTP

/// A call as Twilio describes it, fetched or listed. Unknown fields and new words are tolerated.
///
/// Never prints the numbers. Twilio does not return a call's TwiML, so nothing here holds the code.
public struct CallResource: Sendable {
    /// Of a call (`CA…`).
    public let sid: MessageSID
    /// One of `queued`, `ringing`, `in-progress`, `canceled`, `completed`, `failed`, `busy` and `no-answer`.
    public let status: MessageStatus
    /// A negative decimal such as `-0.03000`, verbatim, because a floating-point number would change the amount. Nil
    /// until Twilio has billed the call.
    public let price: String?
    /// ISO 4217, such as `USD`.
    public let priceUnit: String?
    /// The caller's number; nil if Twilio does not name it.
    public let sender: String?
    /// Seconds since 1970, from RFC 2822.
    public let createdAt: Int64?
    /// Nil while the call waits at Twilio.
    public let startedAt: Int64?
    /// How long the call lasted, in seconds; 0 for an unanswered call, nil until it has ended.
    public let duration: Int?
    /// `outbound-api` for a call that a request made; nil if Twilio does not say.
    public let direction: String?
    /// The recipient in E.164, sealed.
    public let to: Secret?

    /// Why an answer is not a call. Holds no byte of the answer.
    public enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
        case notCall
        case notPage

        public var description: String {
            switch self {
            case .notCall: "Twilio's answer is not a call. Check TWILIO_API_BASE_URL and any proxy in between."
            case .notPage: "Twilio's answer is not a list of calls. Check TWILIO_API_BASE_URL and any proxy in between."
            }
        }
    }

    /// Decodes the answer to a fetch.
    public init(json bytes: Span<UInt8>) throws(Problem) {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)),
            let call = CallResource(wire)
        else { throw .notCall }
        self = call
    }

    init?(_ wire: Wire) {
        guard let sid = MessageSID(wire.sid), sid.isCall else { return nil }
        self.sid = sid
        status = MessageStatus(rawValue: wire.status)
        price = wire.price
        priceUnit = wire.priceUnit
        sender = wire.from.flatMap { from in
            (1...64).contains(from.utf8.count) && from.utf8.allSatisfy { (0x20...0x7E).contains($0) } ? from : nil
        }
        createdAt = wire.createdAt.flatMap(InternetDate.seconds(_:))
        startedAt = wire.startedAt.flatMap(InternetDate.seconds(_:))
        duration = wire.duration?.value
        direction = wire.direction
        to = wire.to.map { Secret($0) }
    }

    /// The fields as Twilio writes them.
    struct Wire: Decodable {
        let sid: String
        let status: String
        let price: String?
        let priceUnit: String?
        let from: String?
        let createdAt: String?
        let startedAt: String?
        let duration: LenientInt?
        let direction: String?
        let to: String?

        enum CodingKeys: String, CodingKey {
            case sid, status, price, from, to, duration, direction
            case priceUnit = "price_unit"
            case createdAt = "date_created"
            case startedAt = "start_time"
        }
    }
}

extension CallResource: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "call \(sid) (\(status))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["sid": sid.description, "status": status.rawValue]) }
}

/// One page of a list of calls.
public struct CallPage: Sendable {
    public let calls: [CallResource]
    /// The path and query of the next page; nil on the last. Always a path of Twilio's API, never another host.
    public let nextPage: String?

    /// Decodes the answer to a list. One unreadable call makes the whole page invalid, because a lookup that overlooks a
    /// call would cause a second one.
    public init(json bytes: Span<UInt8>) throws(CallResource.Problem) {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)) else { throw .notPage }
        var calls: [CallResource] = []
        for call in wire.calls {
            guard let call = CallResource(call) else { throw .notPage }
            calls.append(call)
        }
        if let next = wire.nextPage, !NextPage.isPath(next) { throw .notPage }
        self.calls = calls
        nextPage = wire.nextPage
    }

    private struct Wire: Decodable {
        let calls: [CallResource.Wire]
        let nextPage: String?

        enum CodingKeys: String, CodingKey {
            case calls
            case nextPage = "next_page_uri"
        }
    }
}
