import OTP
import Testing

@testable import Twilio

struct CreateWhatsAppMessageTests {
    static let content = ContentSID("HX0123456789abcdef0123456789abcdef")!

    func form(
        _ sender: String, code: String = "482913", callback: String? = nil, life: Duration = .seconds(299)
    ) throws -> (Bool, [UInt8]) {
        var buffer: [UInt8] = Array("old contents".utf8)
        let create = CreateWhatsAppMessage(
            sender: try WhatsAppSender(sender, setting: "SENDER"), statusCallback: callback)
        let written = create.write(
            into: &buffer, to: CreateMessageTests.number, content: Self.content, code: try Code(code), lifeLeft: life,
            job: 42, attempt: 3)
        return (written, buffer)
    }

    func fields(_ form: [UInt8]) -> [String: String] {
        Dictionary(uniqueKeysWithValues: decodeForm(form).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) })
    }

    /// The one variable of an authentication template; Twilio refuses a second one (error 21656). No `Body`, with which
    /// Twilio would send free text (error 63016).
    @Test func theWholeForm() throws {
        let (written, bytes) = try form("+15005550006")
        #expect(written)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "To=whatsapp%3A%2B966501234567&From=whatsapp%3A%2B15005550006&ValidityPeriod=299"
                + "&ContentSid=HX0123456789abcdef0123456789abcdef&ContentVariables=%7B%221%22%3A%22482913%22%7D")
        #expect(fields(bytes)["ContentVariables"] == #"{"1":"482913"}"#)
    }

    /// The prefix is written once, whether the setting has it or not.
    @Test(arguments: ["+15005550006", "whatsapp:+15005550006"])
    func thePrefixStandsOnce(_ sender: String) throws {
        #expect(fields(try form(sender).1)["From"] == "whatsapp:+15005550006")
        #expect(try WhatsAppSender(sender, setting: "SENDER").text == "whatsapp:+15005550006")
    }

    @Test func messagingServiceAndCallback() throws {
        let service = "MG0123456789abcdef0123456789abcdef"
        let fields = fields(try form(service, callback: "https://example.com/cb").1)
        #expect(fields["MessagingServiceSid"] == service && fields["From"] == nil && fields["Body"] == nil)
        #expect(fields["StatusCallback"] == "https://example.com/cb?reference=42.3")
    }

    /// Any code gives JSON that Twilio can read. A single quote needs no escape.
    @Test(arguments: [
        ("AB12cd", #"{"1":"AB12cd"}"#), (#"a"b\c"#, #"{"1":"a\"b\\c"}"#), ("&=+%'", #"{"1":"&=+%'"}"#),
    ])
    func variablesAreJSON(_ code: String, _ json: String) throws {
        #expect(fields(try form("+15005550006", code: code).1)["ContentVariables"] == json)
    }

    @Test func aDeadCodeIsNotWritten() throws {
        let (written, bytes) = try form("+15005550006", life: .milliseconds(999))
        #expect(!written && bytes.isEmpty)
        #expect(fields(try form("+15005550006", life: .seconds(90_000)).1)["ValidityPeriod"] == "36000")
    }

    @Test func senders() throws {
        for bad in [
            "", "12345", "Mgask", "15005550006", "whatsapp:", "whatsapp:15005550006", "whatsapp:whatsapp:+15005550006",
            "sms:+15005550006", "MG1", "whatsapp%3A%2B15005550006", "whatsapp: 15005550006",
        ] {
            #expect(throws: SettingProblem.notAWhatsAppSender("SENDER")) { try WhatsAppSender(bad, setting: "SENDER") }
        }
        #expect(throws: SettingProblem.surroundingSpaces("SENDER")) {
            try WhatsAppSender("+15005550006 ", setting: "SENDER")
        }
        #expect("\(SettingProblem.notAWhatsAppSender("SENDER"))".hasPrefix("SENDER is neither"))
    }

    @Test func lookups() throws {
        let endpoint = Endpoint(accountSID: CredentialsTests.account)
        #expect(
            endpoint.messages(to: CreateMessageTests.number, by: .whatsapp, pageSize: 50)
                == endpoint.messages + "?To=whatsapp%3A%2B966501234567&PageSize=50")
        var search = MessageSearch(
            for: try Code("123456"), to: MessageSearchTests.number, by: .whatsapp, since: MessageSearchTests.since)
        _ = search.read(
            try MessageSearchTests.page([
                MessageSearchTests.message(1, body: "123456 is your code.", to: "whatsapp:+966501234567"),
                MessageSearchTests.message(2, body: "123456 is your code."),
            ]))
        #expect(search.matches.map { $0.sid.description.suffix(2) } == ["01"], "not the SMS to the same number")
    }
}
