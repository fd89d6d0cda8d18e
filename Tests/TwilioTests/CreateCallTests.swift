import OTP
import TestSupport
import Testing

@testable import Twilio

struct CreateCallTests {
    static let sender = try! CallSender("+15005550006", setting: "SENDER")

    func form(
        twiml: String = "<Response/>", callback: String? = nil, life: Duration = .seconds(299)
    ) -> (Bool, [UInt8]) {
        var buffer: [UInt8] = Array("old contents".utf8)
        let written = CreateCall(sender: Self.sender, statusCallback: callback).write(
            into: &buffer, to: CreateMessageTests.number, twiml: twiml.utf8.span, lifeLeft: life, job: 42, attempt: 3)
        return (written, buffer)
    }

    @Test func theWholeForm() {
        let (written, bytes) = form()
        #expect(written)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "To=%2B966501234567&From=%2B15005550006&Timeout=20&Twiml=%3CResponse%2F%3E")
    }

    /// Each event is a field of its own. Without an address there is nothing to report to.
    @Test func callbacks() {
        let text = String(decoding: form(callback: "https://example.com/cb?x=1").1, as: UTF8.self)
        #expect(
            text == "To=%2B966501234567&From=%2B15005550006&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing"
                + "&StatusCallbackEvent=answered&StatusCallbackEvent=completed&Timeout=20"
                + "&StatusCallback=https%3A%2F%2Fexample.com%2Fcb%3Fx%3D1%26reference%3D42.3&Twiml=%3CResponse%2F%3E")
    }

    @Test(
        arguments: [
            (0.999, nil), (-5.0, nil), (1.0, 1), (19.9, 19), (20.0, 20), (299.0, 20), (90_000.0, 20),
        ] as [(Double, Int?)])
    func thePhoneRingsNoLongerThanTheCodeLives(_ life: Double, _ ring: Int?) {
        let (written, bytes) = form(life: .seconds(life))
        #expect(written == (ring != nil) && bytes.isEmpty == (ring == nil))
        if let ring { #expect(String(decoding: bytes, as: UTF8.self).contains("&Timeout=\(ring)&")) }
    }

    @Test func everyCallIsCreatedAsDescribed() throws {
        var random = SeededGenerator(33)
        let callbacks = [nil, "https://example.com/cb", "https://example.com:8443/a/b?x=1&y=%20"]
        let locales = ["en", "ar", "de-DE", "xx", "zh-Hant-TW"]
        let texts = [
            nil, "{code}", "{app} & <{code}> {minutes} \u{C}رمز 😀", String(repeating: "é", count: 2_000) + "{code}",
        ]
        var buffer: [UInt8] = []
        for _ in 0..<500 {
            let words = CallWords(
                locale: locales.randomElement(using: &random)!,
                callText: try texts.randomElement(using: &random)!.map { try Template(callText: $0) })
            let characters = Array("0123456789ABCdef")
            let code = String(
                (0..<Int.random(in: 4...12, using: &random)).map { _ in characters.randomElement(using: &random)! })
            var twiml: [UInt8] = []
            TwiML.write(words, app: Array("A & B".utf8), code: try Code(code), minutes: 5, into: &twiml)
            let create = CreateCall(sender: Self.sender, statusCallback: callbacks.randomElement(using: &random)!)
            try #require(
                create.write(
                    into: &buffer, to: CreateMessageTests.number, twiml: twiml.span, lifeLeft: .seconds(60),
                    job: .random(in: 1...(.max), using: &random), attempt: .random(in: 1...(.max), using: &random)))
            let fields = decodeForm(buffer).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
            let problems = MessagesAPITests.problems(fields, CallsAPI.create)
            try #require(problems.isEmpty, "\(problems) in \(String(decoding: buffer, as: UTF8.self))")
            #expect(fields.first { $0.0 == "Twiml" }?.1 == String(decoding: twiml, as: UTF8.self))
        }
    }

    @Test func theBufferIsReused() {
        let create = CreateCall(sender: Self.sender, statusCallback: "https://example.com/cb")
        var buffer: [UInt8] = []
        buffer.reserveCapacity(16_384)
        let before = buffer.capacity
        for _ in 0..<100 {
            _ = create.write(
                into: &buffer, to: CreateMessageTests.number, twiml: "<Response/>".utf8.span, lifeLeft: .seconds(60),
                job: 1, attempt: 1)
        }
        #expect(buffer.capacity == before)
    }

    /// Only a number can call. Twilio would refuse any other sender for each call (errors 21210, 21212).
    @Test func senders() throws {
        #expect(try CallSender(Sender(from: "+15005550006"), setting: "SENDER").number == "+15005550006")
        for sender in try [
            Sender(from: "12345"), Sender(from: "Mgask"),
            Sender(messagingService: "MG0123456789abcdef0123456789abcdef"),
        ] {
            let problem = #expect(throws: SettingProblem.notACaller("SENDER")) {
                try CallSender(sender, setting: "SENDER")
            }
            #expect(problem?.description.contains("cannot call") == true)
        }
        for bad in ["", "15005550006", "+0500555000", "whatsapp:+15005550006", "+1500555000x", "sip:a@b"] {
            #expect(throws: SettingProblem.notACaller("SENDER")) { try CallSender(bad, setting: "SENDER") }
        }
        #expect(throws: SettingProblem.surroundingSpaces("SENDER")) {
            try CallSender(" +15005550006", setting: "SENDER")
        }
    }

    @Test func paths() throws {
        let endpoint = Endpoint(accountSID: CredentialsTests.account)
        let base = "/2010-04-01/Accounts/\(CredentialsTests.account)/Calls"
        #expect(endpoint.calls == base + ".json")
        let sid = try #require(MessageSID("CA0123456789abcdef0123456789abcdef"))
        #expect(endpoint.call(sid) == base + "/CA0123456789abcdef0123456789abcdef.json")
        let list = endpoint.calls(to: CreateMessageTests.number, from: Self.sender, pageSize: 0)
        #expect(list == base + ".json?To=%2B966501234567&From=%2B15005550006&PageSize=1")
        let query = decodeForm(Array(list.utf8.drop { $0 != UInt8(ascii: "?") }.dropFirst()))
        let fields = query.map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
        #expect(MessagesAPITests.problems(fields, CallsAPI.list).isEmpty)
        let cancellation = decodeForm(Endpoint.cancellation).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
        #expect(MessagesAPITests.problems(cancellation, CallsAPI.update).isEmpty && cancellation.count == 1)
    }
}
