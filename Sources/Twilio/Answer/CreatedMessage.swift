internal import OTP

/// Reads the answer to a create of a message or of a call: the SID and, if present, the status and the recipient.
enum CreatedMessage {
    /// Finds them at the top level of the JSON; nil without a valid SID. About 0.5 µs.
    ///
    /// A SID is evidence: it counts even if the rest of the answer is cut off. `to` is the range of the recipient as
    /// written.
    static func scan(_ bytes: Span<UInt8>) -> (sid: MessageSID, status: MessageStatus?, to: Range<Int>?)? {
        guard var members = MemberScan(bytes) else { return nil }
        var sid: MessageSID?
        var status: MessageStatus?
        var to: Range<Int>?
        while sid == nil || status == nil || to == nil, let member = members.next(in: bytes) {
            guard let value = member.string else { continue }
            if sid == nil, bytes.extracting(member.name).equals("sid") {
                sid = MessageSID(bytes.extracting(value))
            } else if status == nil, bytes.extracting(member.name).equals("status") {
                status = word(bytes.extracting(value))
            } else if to == nil, bytes.extracting(member.name).equals("to") {
                to = value
            }
        }
        return sid.flatMap { $0.isMail ? nil : ($0, status, to) }
    }

    /// A status from its written word. The usual first statuses make no string.
    private static func word(_ bytes: Span<UInt8>) -> MessageStatus? {
        if bytes.equals("queued") { return .queued }
        if bytes.equals("accepted") { return .accepted }
        // Takes any other word of letters and underscores up to a sane length. Anything else is not a status.
        guard (1...32).contains(bytes.count) else { return nil }
        var copy: [UInt8] = []
        for index in bytes.indices {
            let byte = bytes[index]
            guard (0x61...0x7A).contains(byte) || byte == 0x5F || byte == 0x2D else { return nil }
            copy.append(byte)
        }
        return MessageStatus(rawValue: String(decoding: copy, as: UTF8.self))
    }
}
