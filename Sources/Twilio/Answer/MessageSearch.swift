public import OTP

/// Searches for one code in the messages that Twilio lists for a number. Pure: it reads pages and collects results.
///
/// A message matches by its recipient and by the code in its text, apart from other letters and digits. The whole text
/// is not compared: Twilio adds words to a trial account's texts, operators edit templates, and the minutes in the text
/// differ by attempt. All messages of a verification carry the same code. The recorded SIDs tell which of them belong
/// to other jobs.
public struct MessageSearch: Sendable {
    /// The recipient as Twilio lists it.
    private let recipient: [UInt8]
    private let code: [UInt8]
    private let since: Int64

    /// Messages with the code, newest first as Twilio lists them.
    public private(set) var matches: [(sid: MessageSID, status: MessageStatus)] = []
    /// Messages that may have the code. Twilio does not show their text, or the code stands in it among other letters
    /// or digits, from a template like `PIN{code}` or by chance.
    public private(set) var hidden: [MessageSID] = []

    /// How far Twilio's clock and the database's may differ, in seconds.
    public static let skew: Int64 = 600

    /// Searches for `code`, sent to `number` by SMS or by WhatsApp, no earlier than `since` (seconds since 1970).
    public init(for code: Code, to number: PhoneNumber, by channel: Channel = .sms, since: Int64) {
        var recipient: [UInt8] = []
        if channel == .whatsapp { recipient.append(PhoneNumber.whatsAppPrefix) }
        number.append(to: &recipient)
        self.recipient = recipient
        var bytes: [UInt8] = []
        code.append(to: &bytes)
        self.code = bytes
        self.since = since - Self.skew
    }

    /// Reads a page, newest first. Returns whether older pages may hold more.
    public mutating func read(_ page: MessagePage) -> Bool {
        for message in page.messages where !read(message) { return false }
        return page.nextPage != nil
    }

    /// Reads one message. Returns whether older ones may match.
    public mutating func read(_ message: MessageResource) -> Bool {
        if let createdAt = message.createdAt, createdAt < since { return false }
        if let to = message.to, !to.withBytes({ Self.isEqual($0, recipient) }) { return true }
        guard let body = message.body, !body.isEmpty else {
            hidden.append(message.sid)
            return true
        }
        switch body.withBytes({ Self.occurrence(of: code, in: $0) }) {
        case .apart: matches.append((message.sid, message.status))
        case .within: hidden.append(message.sid)
        case .nowhere: break
        }
        return true
    }

    private static func isEqual(_ bytes: Span<UInt8>, _ other: [UInt8]) -> Bool {
        bytes.count == other.count && bytes.indices.allSatisfy { bytes[$0] == other[$0] }
    }

    enum Occurrence: Equatable { case apart, within, nowhere }

    /// How `code` stands in `text`: apart if no ASCII letter or digit is right before or after it.
    static func occurrence(of code: [UInt8], in text: Span<UInt8>) -> Occurrence {
        var found = Occurrence.nowhere
        guard !code.isEmpty, text.count >= code.count else { return found }
        for start in 0...(text.count - code.count)
        where code.indices.allSatisfy({ text[start + $0] == code[$0] }) {
            let end = start + code.count
            let isApart = (start == 0 || !isWord(text[start - 1])) && (end == text.count || !isWord(text[end]))
            if isApart { return .apart }
            found = .within
        }
        return found
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}
