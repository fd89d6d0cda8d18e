/// The parts of Twilio's OpenAPI description (twilio-oai, twilio_api_v2010) that otpd's requests about calls use, as in
/// `MessagesAPI`. The limit of `Twiml` comes from its description there.
enum CallsAPI {
    private static let account = MessagesAPI.Parameter(
        "AccountSid", .string, pattern: "^AC[0-9a-fA-F]{32}$", length: 34...34, isRequired: true)
    private static let sid = MessagesAPI.Parameter(
        "Sid", .string, pattern: "^CA[0-9a-fA-F]{32}$", length: 34...34, isRequired: true)

    /// POST.
    static let create = MessagesAPI.Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Calls.json",
        inPath: [account],
        parameters: [
            .init("To", .string, format: "phone-number", isRequired: true),
            // Of calls this is never a name, so the pattern is that of a number.
            .init("From", .string, pattern: "^[+][1-9][0-9]{6,14}$", isRequired: true),
            .init("Timeout", .integer, minimum: 1, maximum: 600),
            .init("StatusCallback", .string, format: "uri"),
            .init("StatusCallbackEvent", .list, words: ["initiated", "ringing", "answered", "completed"]),
            .init("StatusCallbackMethod", .string, words: ["GET", "POST"]),
            .init("TimeLimit", .integer),
            .init("Twiml", .string, length: 1...4_000),
            .init("Url", .string, format: "uri"),
        ])

    /// GET.
    static let list = MessagesAPI.Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Calls.json",
        inPath: [account],
        parameters: [
            .init("To", .string, format: "phone-number"),
            .init("From", .string, format: "phone-number"),
            .init("StartTime>", .string, format: "date-time"),
            .init("PageSize", .integer, minimum: 1, maximum: 1000),
            .init("Page", .integer, minimum: 0),
            .init("PageToken", .string),
        ])

    /// GET. POST changes the call, with the parameters of `update`.
    static let fetch = MessagesAPI.Operation(
        path: "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json", inPath: [account, sid], parameters: [])

    static let update = MessagesAPI.Operation(
        path: fetch.path, inPath: [account, sid],
        parameters: [.init("Status", .string, words: ["canceled", "completed"])])
}
