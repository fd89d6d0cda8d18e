/// The senders of WhatsApp messages and calls by country, as rows of `otp.channel_senders`. Each sender is encoded once,
/// when the rows are read.
public struct ChannelSenders: Sendable {
    /// One row. The country is `*` for any.
    public struct Row: Sendable, Hashable {
        public let channel: String
        public let country: String
        public let sender: String

        public init(channel: String, country: String, sender: String) {
            (self.channel, self.country, self.sender) = (channel, country, sender)
        }
    }

    private let statusCallback: String?
    private var whatsApp: [String: CreateWhatsAppMessage] = [:]
    private var calls: [String: CreateCall] = [:]
    /// The rows that cannot be used, in words.
    public private(set) var problems: [String] = []

    /// No senders, until rows are read.
    public init(statusCallback: String?) { self.statusCallback = statusCallback }

    /// Replaces all senders with those of `rows`.
    public mutating func read(_ rows: [Row]) {
        (whatsApp, calls, problems) = ([:], [:], [])
        for row in rows {
            let place = "the sender of \(row.channel) for \(row.country) in otp.channel_senders"
            do throws(SettingProblem) {
                switch row.channel {
                case "whatsapp":
                    whatsApp[row.country] = CreateWhatsAppMessage(
                        sender: try WhatsAppSender(row.sender, setting: place), statusCallback: statusCallback)
                case "call":
                    calls[row.country] = CreateCall(
                        sender: try CallSender(row.sender, setting: place), statusCallback: statusCallback)
                default: problems.append("\(place) is of an unknown channel")
                }
            } catch {
                problems.append("\(error)")
            }
        }
    }

    /// The writer of WhatsApp messages to a country; nil without a sender.
    public func whatsApp(country: String) -> CreateWhatsAppMessage? { whatsApp[country] ?? whatsApp["*"] }

    /// The writer of calls to a country; nil without a sender.
    public func call(country: String) -> CreateCall? { calls[country] ?? calls["*"] }

    /// What their rates are found by in `otp.sender_rates`: each WhatsApp sender, and `call` for all calls together.
    public var rateKeys: Set<String> { Set(whatsApp.values.map(\.sender.text)).union(calls.isEmpty ? [] : ["call"]) }
}
