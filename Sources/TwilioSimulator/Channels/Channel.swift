/// The way that a code goes. The inbox and the counts have one name for each.
enum Channel: String, CaseIterable, Sendable {
    case sms, whatsapp, call, email

    private static let whatsAppPrefix = Array("whatsapp:".utf8)

    /// The channel of a message to that address. Twilio's addresses name every channel but SMS.
    static func ofMessage(to address: some Collection<UInt8>) -> Channel {
        address.starts(with: whatsAppPrefix) ? .whatsapp : .sms
    }

    /// An address without the channel's name before it: `+966501234567` for `whatsapp:+966501234567`.
    func number(_ address: [UInt8]) -> [UInt8] {
        self == .whatsapp && address.starts(with: Self.whatsAppPrefix)
            ? Array(address.dropFirst(Self.whatsAppPrefix.count)) : address
    }

    /// The address of a number in this channel: the opposite of `number`.
    func address(_ number: [UInt8]) -> [UInt8] {
        self == .whatsapp ? Self.whatsAppPrefix + number : number
    }
}
