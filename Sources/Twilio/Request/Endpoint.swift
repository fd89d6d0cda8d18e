public import OTP

/// The paths of Twilio's Messages and Calls API, below `TWILIO_API_BASE_URL`.
public struct Endpoint: Sendable, Hashable {
    private let account: String

    public init(accountSID: String) {
        account = "/2010-04-01/Accounts/\(accountSID)"
    }

    /// POST: create a message. GET: list them.
    public var messages: String { "\(account)/Messages.json" }

    /// GET: the account itself. The answer holds the auth token, so never log it. Standard API keys may not read it.
    public var accountResource: String { "\(account).json" }

    /// GET: the newest message at most, to check whether messages can be read.
    public var newestMessage: String { "\(messages)?PageSize=1" }

    /// GET: the account's entries for that number, in E.164. The path holds the number, so never log it.
    public func incomingNumbers(_ number: String) -> String {
        "\(account)/IncomingPhoneNumbers.json?PhoneNumber=\(Self.encoded(number))&PageSize=20"
    }

    /// GET: the account's entries for that short code.
    public func shortCodes(_ code: String) -> String {
        "\(account)/SMS/ShortCodes.json?ShortCode=\(Self.encoded(code))&PageSize=20"
    }

    private static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        FormEncoding.append(text.utf8.span, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The form that empties a message's text.
    public static let redaction = Array("Body=".utf8)

    /// GET: one message. POST: change it.
    public func message(_ sid: MessageSID) -> String { "\(account)/Messages/\(sid).json" }

    /// POST: tells Twilio whether the message reached its user.
    public func feedback(_ sid: MessageSID) -> String { "\(account)/Messages/\(sid)/Feedback.json" }

    /// The form that says that a message's code was used.
    public static let confirmation = Array("Outcome=confirmed".utf8)

    /// GET: the messages sent to a number by SMS, or by WhatsApp, newest first, `pageSize` (1…1000) a page.
    ///
    /// Uses no `DateSent` filter, because messages not sent yet may lack the date. The path holds the whole number, so
    /// never log it.
    public func messages(to number: PhoneNumber, by channel: Channel = .sms, pageSize: Int) -> String {
        var query = Array("\(messages)?To=\(channel == .whatsapp ? "whatsapp%3A" : "")%2B".utf8)
        number.appendDigits(to: &query)
        query.append(contentsOf: "&PageSize=\(Self.bounded(pageSize))".utf8)
        return String(decoding: query, as: UTF8.self)
    }

    /// POST: create a call. GET: list them.
    public var calls: String { "\(account)/Calls.json" }

    /// GET: one call. POST: change it.
    public func call(_ sid: MessageSID) -> String { "\(account)/Calls/\(sid).json" }

    /// The form that ends a call before it is answered. Twilio leaves an answered call alone.
    public static let cancellation = Array("Status=canceled".utf8)

    /// GET: the calls from `caller` to a number, newest first, `pageSize` (1…1000) a page.
    ///
    /// Uses no `StartTime` filter, because a call that still waits at Twilio has no start time: such a filter would hide
    /// the very call that a lookup is about. ``CallSearch`` goes by the date of creation. The path holds the whole
    /// number, so never log it.
    public func calls(to number: PhoneNumber, from caller: CallSender, pageSize: Int) -> String {
        var query = Array("\(calls)?To=%2B".utf8)
        number.appendDigits(to: &query)
        query.append(contentsOf: "&From=\(Self.encoded(caller.number))&PageSize=\(Self.bounded(pageSize))".utf8)
        return String(decoding: query, as: UTF8.self)
    }

    /// GET, below ``lookupBaseURL(_:)``: the risk that a number takes part in SMS pumping. Twilio charges for it. The path
    /// holds the whole number, so never log it.
    public static func risk(of number: PhoneNumber) -> String {
        var path = Array("/v2/PhoneNumbers/%2B".utf8)
        number.appendDigits(to: &path)
        path.append(contentsOf: "?Fields=sms_pumping_risk".utf8)
        return String(decoding: path, as: UTF8.self)
    }

    /// Where Lookup is, by where the rest of the API is. At Twilio the host's first label names the product, and the labels
    /// after it the edge and the region (`api.dublin.ie1.twilio.com`). Any other host, such as a simulator's, answers both.
    public static func lookupBaseURL(_ baseURL: String) -> String {
        let (start, end) = ("https://api.", ".twilio.com")
        let lower = baseURL.lowercased()
        let host = lower.dropFirst("https://".count).prefix { $0 != ":" && $0 != "/" }
        guard lower.hasPrefix(start), host.hasSuffix(end) else { return baseURL }
        return "https://lookups." + baseURL.dropFirst(start.count)
    }

    private static func bounded(_ pageSize: Int) -> Int { min(max(pageSize, 1), 1_000) }
}
