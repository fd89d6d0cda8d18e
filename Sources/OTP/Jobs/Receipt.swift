/// The content of a status callback: the status of one message or call at Twilio.
public struct Receipt: Sendable, Hashable {
    /// The message or the call.
    public let sid: MessageSID
    /// Twilio's word, verbatim: 1 to 40 characters of `a-z _ -`.
    public let status: MessageStatus
    /// Twilio's error code; nil unless the message failed, and often nil for a failed call too.
    public let errorCode: Int32?
    /// The final answer of the telephone network to a call, as SIP numbers it (486 busy, 404 no such number); nil for a
    /// message, and where Twilio does not say.
    public let sipCode: Int32?
    /// The attempt that created the message; nil if the callback's URL names no attempt of otpd's.
    public let attempt: AttemptReference?

    /// Nil if `status` is a word that `otp.record_status` refuses.
    public init?(
        sid: MessageSID, status: MessageStatus, errorCode: Int32?, sipCode: Int32? = nil, attempt: AttemptReference?
    ) {
        let word = status.rawValue.utf8
        guard (1...40).contains(word.count), word.allSatisfy(Receipt.isInWord) else { return nil }
        self.sid = sid
        self.status = status
        self.errorCode = errorCode
        self.sipCode = sipCode
        self.attempt = attempt
    }

    private static func isInWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}

/// Names an attempt of a send job, `<job>.<attempt>`: the callback's URL carries it to Twilio and back.
public struct AttemptReference: Sendable, Hashable, CustomStringConvertible {
    public let job: Int64
    public let attempt: Int32

    public var description: String { "\(job).\(attempt)" }

    /// Parses digits, a full stop and digits. Nil for anything else, and for a number that is 0 or longer than
    /// `otp.record_status` takes (18 and 9 digits).
    public init?(_ text: some StringProtocol) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2, let job = Self.number(parts[0], digits: 18),
            let attempt = Self.number(parts[1], digits: 9)
        else { return nil }
        self.job = job
        self.attempt = Int32(attempt)
    }

    private static func number(_ text: some Collection<UInt8>, digits: Int) -> Int64? {
        guard (1...digits).contains(text.count) else { return nil }
        var number: Int64 = 0
        for byte in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return number > 0 ? number : nil
    }
}
