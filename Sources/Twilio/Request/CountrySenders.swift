/// Chooses the sender of each message: a country's own sender if `otp.countries` has one, or else the worker's.
///
/// Each sender is encoded once, when the rows are read.
public struct CountrySenders: Sendable {
    /// A country's sender is invalid. Only that country's messages are affected. The worker's own sender does not
    /// replace it, because a country has its own sender where other senders do not deliver.
    public struct BadRow: Error, Sendable, Hashable, CustomStringConvertible {
        public let country: String

        public var description: String { "invalid sender of \(country) in otp.countries" }

        public static let remedy = """
            Set otp.countries.sender to a phone number in E.164, a short code, a name of 1 to 11 letters, digits and \
            spaces with a letter among them, a messaging service SID (MG and 32 hexadecimal digits), or null.
            """
    }

    private let standard: CreateMessage
    private let statusCallback: String?
    private var forms: [String: Result<CreateMessage, BadRow>] = [:]

    /// Uses the worker's own sender for every country, until rows are read.
    public init(standard: Sender, statusCallback: String?) {
        self.standard = CreateMessage(sender: standard, statusCallback: statusCallback)
        self.statusCallback = statusCallback
    }

    /// Replaces the senders by country with those of `rows`.
    public mutating func read(_ rows: [String: String]) {
        var encoded: [Sender: CreateMessage] = [standard.sender: standard]
        forms = [:]
        for (country, text) in rows {
            guard let sender = try? Sender(country: text) else {
                forms[country] = .failure(BadRow(country: country))
                continue
            }
            let form = encoded[sender] ?? CreateMessage(sender: sender, statusCallback: statusCallback)
            encoded[sender] = form
            forms[country] = .success(form)
        }
    }

    /// The writer of requests for `country`, an ISO 3166 code.
    public func form(country: String) throws(BadRow) -> CreateMessage {
        try forms[country]?.get() ?? standard
    }

    /// All senders that a message may come from: the worker's own and those of countries.
    public var inUse: Set<String> {
        Set(forms.values.compactMap { try? $0.get().sender.text }).union([standard.sender.text])
    }

    /// The rows that cannot be used, by country.
    public var badRows: [BadRow] {
        forms.values.compactMap { if case .failure(let row) = $0 { row } else { nil } }
            .sorted { $0.country < $1.country }
    }
}
