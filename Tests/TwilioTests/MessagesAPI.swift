/// The parts of Twilio's OpenAPI description (twilio-oai, twilio_api_v2010) that otpd's requests use: paths, and the
/// names, types, patterns, values and limits of parameters. The limits of `ValidityPeriod` and `Body` come from their
/// descriptions there.
enum MessagesAPI {
    enum Kind: Sendable { case string, integer, number, boolean, list }

    struct Parameter: Sendable {
        let name: String
        let kind: Kind
        let format: String?
        let pattern: String?
        let words: [String]
        let minimum: Int?
        let maximum: Int?
        let length: ClosedRange<Int>?
        let isRequired: Bool

        init(
            _ name: String, _ kind: Kind, format: String? = nil, pattern: String? = nil, words: [String] = [],
            minimum: Int? = nil, maximum: Int? = nil, length: ClosedRange<Int>? = nil, isRequired: Bool = false
        ) {
            self.name = name
            self.kind = kind
            self.format = format
            self.pattern = pattern
            self.words = words
            self.minimum = minimum
            self.maximum = maximum
            self.length = length
            self.isRequired = isRequired
        }
    }

    struct Operation: Sendable {
        let path: String
        let inPath: [Parameter]
        /// Parameters of the query (GET) or of the form (POST).
        let parameters: [Parameter]
    }

    /// POST.
    static let create = Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Messages.json",
        inPath: [
            .init("AccountSid", .string, pattern: "^AC[0-9a-fA-F]{32}$", length: 34...34, isRequired: true)
        ],
        parameters: [
            .init("To", .string, format: "phone-number", isRequired: true),
            .init("StatusCallback", .string, format: "uri"),
            .init("ApplicationSid", .string, pattern: "^AP[0-9a-fA-F]{32}$", length: 34...34),
            .init("MaxPrice", .number),
            .init("ProvideFeedback", .boolean),
            .init("Attempt", .integer),
            .init("ValidityPeriod", .integer, minimum: 1, maximum: 36000),
            .init("ForceDelivery", .boolean),
            .init("ContentRetention", .string, words: ["retain", "discard"]),
            .init("AddressRetention", .string, words: ["retain", "obfuscate"]),
            .init("SmartEncoded", .boolean),
            .init("PersistentAction", .list),
            .init("TrafficType", .string, words: ["free"]),
            .init("ShortenUrls", .boolean),
            .init("ScheduleType", .string, words: ["fixed"]),
            .init("SendAt", .string, format: "date-time"),
            .init("SendAsMms", .boolean),
            .init("ContentVariables", .string),
            .init("RiskCheck", .string, words: ["enable", "disable"]),
            .init("From", .string, format: "phone-number"),
            .init("FallbackFrom", .string, format: "phone-number"),
            .init("MessagingServiceSid", .string, pattern: "^MG[0-9a-fA-F]{32}$", length: 34...34),
            .init("Body", .string, length: 0...1600),
            .init("MediaUrl", .list),
            .init("ContentSid", .string, pattern: "^HX[0-9a-fA-F]{32}$", length: 34...34),
        ])

    /// GET.
    static let list = Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Messages.json",
        inPath: [
            .init("AccountSid", .string, pattern: "^AC[0-9a-fA-F]{32}$", length: 34...34, isRequired: true)
        ],
        parameters: [
            .init("To", .string, format: "phone-number"),
            .init("From", .string, format: "phone-number"),
            .init("DateSent", .string, format: "date-time"),
            .init("DateSent<", .string, format: "date-time"),
            .init("DateSent>", .string, format: "date-time"),
            .init("PageSize", .integer, minimum: 1, maximum: 1000),
            .init("Page", .integer, minimum: 0),
            .init("PageToken", .string),
        ])

    /// GET.
    static let fetch = Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json",
        inPath: [
            .init("AccountSid", .string, pattern: "^AC[0-9a-fA-F]{32}$", length: 34...34, isRequired: true),
            .init("Sid", .string, pattern: "^(SM|MM)[0-9a-fA-F]{32}$", length: 34...34, isRequired: true),
        ],
        parameters: [])

    /// POST.
    static let update = Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json",
        inPath: [
            .init("AccountSid", .string, pattern: "^AC[0-9a-fA-F]{32}$", length: 34...34, isRequired: true),
            .init("Sid", .string, pattern: "^(SM|MM)[0-9a-fA-F]{32}$", length: 34...34, isRequired: true),
        ],
        parameters: [
            .init("Body", .string),
            .init("Status", .string, words: ["canceled"]),
        ])
}
