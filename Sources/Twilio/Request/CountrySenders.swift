/// Chooses the sender of each text message: the purpose's own if `otp.purposes` has one, or else the country's if
/// `otp.countries` has one, or else the worker's.
///
/// Each sender is encoded once, when the rows are read.
public struct CountrySenders: Sendable {
    /// A country's sender is invalid. Only that country's messages are affected. The worker's own sender does not
    /// replace it, because a country has its own sender where other senders do not deliver.
    public struct BadRow: Error, Sendable, Hashable, CustomStringConvertible {
        public let country: String
        /// The purpose that has the sender; nil for a country's.
        public let purpose: String?

        public init(country: String, purpose: String? = nil) {
            (self.country, self.purpose) = (country, purpose)
        }

        public var description: String {
            purpose.map { "invalid sender of \($0) in otp.purposes" } ?? "invalid sender of \(country) in otp.countries"
        }

        public var remedy: String {
            """
            Set \(purpose == nil ? "otp.countries" : "otp.purposes").sender to a phone number in E.164, a short code, a name \
            of 1 to 11 letters, digits and spaces with a letter among them, a messaging service SID (MG and 32 \
            hexadecimal digits), or null.
            """
        }
    }

    private var standard: CreateMessage
    private let statusCallback: String?
    private var forms: [String: Result<CreateMessage, BadRow>] = [:]
    private var purposes: [String: Result<CreateMessage, BadRow>] = [:]

    /// Uses the worker's own sender for every country, until rows are read.
    public init(standard: Sender, statusCallback: String?) {
        self.standard = CreateMessage(sender: standard, statusCallback: statusCallback)
        self.statusCallback = statusCallback
    }

    /// Replaces the senders by country with those of `rows`, and those by purpose. `providesFeedback` says whether Twilio
    /// will be told which codes were used.
    public mutating func read(
        _ rows: [String: String], purposes senders: [String: String] = [:], providesFeedback: Bool = false
    ) {
        standard = CreateMessage(
            sender: standard.sender, statusCallback: statusCallback, providesFeedback: providesFeedback)
        var encoded: [Sender: CreateMessage] = [standard.sender: standard]
        func form(_ text: String, _ bad: BadRow) -> Result<CreateMessage, BadRow> {
            guard let sender = try? Sender(country: text) else { return .failure(bad) }
            let form =
                encoded[sender]
                ?? CreateMessage(
                    sender: sender, statusCallback: statusCallback, providesFeedback: providesFeedback)
            encoded[sender] = form
            return .success(form)
        }
        forms = [:]
        for (country, text) in rows { forms[country] = form(text, BadRow(country: country)) }
        purposes = [:]
        for (purpose, text) in senders { purposes[purpose] = form(text, BadRow(country: "", purpose: purpose)) }
    }

    /// The writer of requests for a purpose and `country`, an ISO 3166 code.
    public func form(purpose: String = "", country: String) throws(BadRow) -> CreateMessage {
        if !purposes.isEmpty, let form = purposes[purpose] { return try form.get() }
        return try forms[country]?.get() ?? standard
    }

    /// All senders that a message may come from: the worker's own and those of countries.
    public var inUse: Set<String> {
        let all = Array(forms.values) + Array(purposes.values)
        return Set(all.compactMap { try? $0.get().sender.text }).union([standard.sender.text])
    }

    /// The rows that cannot be used, by country.
    public var badRows: [BadRow] {
        (Array(forms.values) + Array(purposes.values)).compactMap {
            if case .failure(let row) = $0 { row } else { nil }
        }
        .sorted { ($0.country, $0.purpose ?? "") < ($1.country, $1.purpose ?? "") }
    }
}
