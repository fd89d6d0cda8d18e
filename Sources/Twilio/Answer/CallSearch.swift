public import OTP

/// Searches for the call of one attempt among those that Twilio lists for a number. Pure: it reads pages and collects
/// results.
///
/// Twilio's list does not show what a call said, so a call matches by its recipient, its caller and its date: it was
/// created in the attempt's window, by a request and not by a person. Several calls may match. The recorded SIDs tell
/// which of them belong to other jobs.
public struct CallSearch: Sendable {
    private let recipient: [UInt8]
    private let caller: String
    private let window: ClosedRange<Int64>

    /// Calls that match, newest first as Twilio lists them.
    public private(set) var matches: [(sid: MessageSID, status: MessageStatus)] = []
    /// Calls that may match: Twilio does not show their date, their recipient or their caller.
    public private(set) var hidden: [MessageSID] = []

    /// How far Twilio's clock and the database's may differ, in seconds. It is shorter than that of `MessageSearch`,
    /// because here the date is what tells one call from another.
    public static let skew: Int64 = 120

    /// Searches for a call from `caller` to `number` whose request may have reached Twilio between `since` and `until`
    /// (seconds since 1970).
    public init(to number: PhoneNumber, from caller: CallSender, since: Int64, until: Int64) {
        var recipient: [UInt8] = []
        number.append(to: &recipient)
        self.recipient = recipient
        self.caller = caller.number
        let first = since - Self.skew
        window = first...max(first, until + Self.skew)
    }

    /// Reads a page, newest first. Returns whether older pages may hold more.
    ///
    /// Twilio sorts by the time of the start, and a call may wait before it starts. So a single old call does not end
    /// the search, and a page of old calls does.
    public mutating func read(_ page: CallPage) -> Bool {
        for call in page.calls { read(call) }
        let isOld = page.calls.allSatisfy { $0.createdAt.map { $0 < window.lowerBound } ?? false }
        return page.nextPage != nil && (page.calls.isEmpty || !isOld)
    }

    /// Reads one call.
    public mutating func read(_ call: CallResource) {
        if let direction = call.direction, direction != "outbound-api" { return }
        if let sender = call.sender, sender != caller { return }
        if let createdAt = call.createdAt, !window.contains(createdAt) { return }
        if let to = call.to, !to.withBytes({ Self.isEqual($0, recipient) }) { return }
        if call.createdAt == nil || call.to == nil || call.sender == nil {
            hidden.append(call.sid)
        } else {
            matches.append((call.sid, call.status))
        }
    }

    private static func isEqual(_ bytes: Span<UInt8>, _ other: [UInt8]) -> Bool {
        bytes.count == other.count && bytes.indices.allSatisfy { bytes[$0] == other[$0] }
    }
}
