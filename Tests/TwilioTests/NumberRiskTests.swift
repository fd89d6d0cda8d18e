import OTP
import Testing

@testable import Twilio

/// Lookup's answers about the risk of a number.
@Suite struct NumberRiskTests {
    private static let number = try! PhoneNumber(e164: "+966501234567")

    private static func answer(_ risk: String, about number: String = "+966501234567") -> String {
        #"{"country_code": "SA", "phone_number": "\#(number)", "valid": true, "sms_pumping_risk": \#(risk)}"#
    }

    private static func scored(_ score: String, code: String = "null") -> String {
        #"{"carrier_risk_category": "low", "number_blocked": false, "sms_pumping_risk_score": \#(score), "error_code": \#(code)}"#
    }

    private static func error(_ code: Int) -> String { #"{"code": \#(code), "message": "No.", "status": 400}"# }

    @Test(arguments: [
        (200, answer(scored("0")), NumberRisk.score(0)), (200, answer(scored("61")), .score(61)),
        (200, answer(scored("100")), .score(100)), (200, answer(scored("90.5")), .score(91)),
        // No data about the number, and a number that is invalid by Twilio's tables.
        (200, answer(scored("null", code: "60600")), .unknown), (200, answer(scored("null")), .unknown),
        (200, answer("null"), .unknown), (200, #"{"phone_number": "+966501234567"}"#, .unknown),
        (200, answer(scored("null", code: "60601")), .failed(.refused(code: 60601))),
        // Answers that are none.
        (200, answer(scored("101")), .failed(.unreadable)), (200, answer(scored("-1")), .failed(.unreadable)),
        (200, answer(scored("\"high\"")), .failed(.unreadable)), (200, answer("[]"), .failed(.unreadable)),
        (200, "<html>Log in</html>", .failed(.unreadable)), (200, "", .failed(.unreadable)),
        (200, answer(scored("5"), about: "+966501234568"), .failed(.otherNumber)),
        (200, answer(scored("5"), about: "501234567"), .failed(.otherNumber)),
        (401, error(20003), .failed(.refused(code: 20003))), (403, error(70051), .failed(.refused(code: 70051))),
        (404, error(20404), .failed(.refused(code: 20404))), (400, error(60600), .failed(.refused(code: 60600))),
        (403, "Forbidden", .failed(.refused(code: nil))), (429, error(20429), .failed(.throttled)),
        (408, "", .failed(.noAnswer)), (302, "", .failed(.noAnswer)), (500, error(20500), .failed(.noAnswer)),
        (502, "Bad Gateway", .failed(.noAnswer)),
    ])
    func answers(status: Int, body: String, risk: NumberRisk) {
        #expect(NumberRisk(status: status, body: body.utf8.span, about: Self.number) == risk)
    }

    @Test func request() {
        #expect(Endpoint.risk(of: Self.number) == "/v2/PhoneNumbers/%2B966501234567?Fields=sms_pumping_risk")
    }

    @Test(arguments: [
        ("https://api.twilio.com", "https://lookups.twilio.com"),
        ("https://API.Twilio.com", "https://lookups.Twilio.com"),
        ("https://api.dublin.ie1.twilio.com", "https://lookups.dublin.ie1.twilio.com"),
        ("https://api.twilio.com:443", "https://lookups.twilio.com:443"),
        ("http://127.0.0.1:4010", "http://127.0.0.1:4010"), ("https://api.example.com", "https://api.example.com"),
        ("https://api.twilio.com.example.com", "https://api.twilio.com.example.com"),
        ("https://proxy.example.com:8443", "https://proxy.example.com:8443"),
    ])
    func isOnTheHostOfItsProduct(base: String, lookup: String) { #expect(Endpoint.lookupBaseURL(base) == lookup) }
}
