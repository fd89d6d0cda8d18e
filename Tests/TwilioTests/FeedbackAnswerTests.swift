import OTP
import Testing

@testable import Twilio

/// Twilio's answers to feedback.
@Suite struct FeedbackAnswerTests {
    private static let sid = MessageSID("SM" + String(repeating: "a", count: 32))!

    private static func confirmed(_ sid: String = "\(sid)", _ outcome: String = "confirmed") -> String {
        """
        {"account_sid": "AC0", "date_created": "Thu, 30 Jul 2015 20:00:00 +0000", "message_sid": "\(sid)", \
        "outcome": "\(outcome)", "uri": "/2010-04-01/Accounts/AC0/Messages/\(sid)/Feedback.json"}
        """
    }

    private static func error(_ code: Int) -> String { #"{"code": \#(code), "message": "No.", "status": 400}"# }

    @Test(arguments: [
        (200, confirmed(), FeedbackAnswer.confirmed), (201, confirmed(), .confirmed),
        // An answer about another message, another outcome, and pages of other servers.
        (200, confirmed("SM" + String(repeating: "b", count: 32)), .unclear),
        (200, confirmed("\(sid)", "unconfirmed"), .unclear), (200, "<html>Log in</html>", .unclear),
        (200, "", .unclear), (204, "", .unclear), (302, "", .unclear),
        // A message that was deleted or is another account's, a kind without feedback, RFC 9457's form.
        (404, error(20404), .unavailable), (400, error(20001), .unavailable), (405, error(20004), .unavailable),
        (410, #"{"code": 20404, "title": "Gone"}"#, .unavailable),
        (404, "Not Found", .unclear), (404, #"{"code": 404, "message": "no route"}"#, .unclear),
        // Wrong credentials, those of another account, a restricted key, a suspended account, a firewall.
        (401, error(20003), .refused(code: 20003)), (403, error(70051), .refused(code: 70051)),
        (403, error(20005), .refused(code: 20005)), (403, "Forbidden", .refused(code: nil)),
        (429, error(20429), .throttled(retryAfter: 7)), (408, "", .unclear), (409, error(20409), .unclear),
        (500, error(20500), .unclear), (502, "Bad Gateway", .unclear), (503, error(20503), .unclear),
    ])
    func answers(status: Int, body: String, answer: FeedbackAnswer) {
        #expect(FeedbackAnswer(status: status, body: body.utf8.span, retryAfter: 7, about: Self.sid) == answer)
    }

    @Test func requests() {
        let endpoint = Endpoint(accountSID: "AC1")
        #expect(endpoint.feedback(Self.sid) == "/2010-04-01/Accounts/AC1/Messages/\(Self.sid)/Feedback.json")
        #expect(String(decoding: Endpoint.confirmation, as: UTF8.self) == "Outcome=confirmed")
    }

    /// Every sender's messages ask for it, or none do.
    @Test(arguments: [true, false]) func creates(_ isWanted: Bool) throws {
        var senders = CountrySenders(standard: .from("+15550001"), statusCallback: nil)
        func isAsked(_ purpose: String, _ country: String) throws -> Bool {
            var buffer: [UInt8] = []
            let form = try senders.form(purpose: purpose, country: country)
            let number = try PhoneNumber(e164: "+905321234567")
            #expect(
                form.write(into: &buffer, to: number, body: "x".utf8.span, lifeLeft: .seconds(60), job: 1, attempt: 1))
            let text = String(decoding: buffer, as: UTF8.self)
            #expect(text.hasSuffix("&Body=x") && text.contains("&ValidityPeriod=60&"))
            return text.contains("&ProvideFeedback=true&")
        }
        #expect(try !isAsked("", "TR"), "not before the setting has been read")
        senders.read(["TR": "Mgask", "DE": "+15550001"], purposes: ["login": "+15550002"], providesFeedback: isWanted)
        for (purpose, country) in [("", "TR"), ("", "DE"), ("", "US"), ("login", "US")] {
            #expect(try isAsked(purpose, country) == isWanted, "\(purpose) \(country)")
        }
        senders.read([:])
        #expect(try !isAsked("", "US"), "and no longer when the setting is off again")
    }
}
