import OTP
import TestSupport
import Testing

@testable import Twilio

struct ScanTests {
    static let sid = "SM0123456789abcdef0123456789abcdef"
    static let other = "SMffffffffffffffffffffffffffffffff"
    static let account = "AC0123456789abcdef0123456789abcdef"

    /// As Twilio's API description shows it.
    static let created = """
        {"account_sid":"\(account)","api_version":"2010-04-01","body":"Your code is 1234","date_created":
        "Thu, 24 Aug 2023 05:01:45 +0000","date_sent":null,"date_updated":"Thu, 24 Aug 2023 05:01:45 +0000","direction":
        "outbound-api","error_code":null,"error_message":null,"from":"+14155552345","num_media":"0","num_segments":"1",
        "price":null,"price_unit":null,"messaging_service_sid":"MGaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","sid":"\(sid)",
        "status":"queued","subresource_uris":{"media":"/2010-04-01/Accounts/x/Media.json"},"to":"+14155552345"}
        """

    func scan(_ text: String) -> (sid: String, status: String?)? {
        CreatedMessage.scan(text.utf8.span).map { ($0.sid.description, $0.status?.rawValue) }
    }

    @Test func theUsualAnswer() {
        #expect(scan(ScanTests.created)?.sid == ScanTests.sid)
        #expect(scan(ScanTests.created)?.status == "queued")
    }

    @Test(
        arguments: [
            ("{\"sid\":\"\(sid)\"}", nil), ("  {\n\"sid\" : \"\(sid)\" , \"status\" : \"accepted\" }", "accepted"),
            ("{\"status\":\"sent\",\"sid\":\"\(sid)\"}", "sent"),
            ("{\"status\":\"brand_new\",\"sid\":\"\(sid)\"}", "brand_new"),
            // Look-alikes: other names, the text of the message, nested objects and arrays, escapes.
            ("{\"account_sid\":\"\(other)\",\"messaging_service_sid\":\"\(other)\",\"sid\":\"\(sid)\"}", nil),
            ("{\"body\":\"{\\\"sid\\\":\\\"\(other)\\\"}\",\"sid\":\"\(sid)\"}", nil),
            ("{\"body\":\"\\\\\",\"sid\":\"\(sid)\"}", nil), ("{\"body\":\"\\\\\\\"sid\",\"sid\":\"\(sid)\"}", nil),
            ("{\"a\":{\"sid\":\"\(other)\"},\"sid\":\"\(sid)\"}", nil),
            ("{\"a\":[{\"sid\":\"\(other)\"},[1,\"]}\"]],\"sid\":\"\(sid)\"}", nil),
            ("{\"a\":[],\"b\":{},\"c\":-1.5e3,\"d\":true,\"e\":null,\"sid\":\"\(sid)\"}", nil),
            ("{\"sid\":null,\"x\":1,\"sid\":\"\(sid)\"}", nil), ("{\"status\":7,\"sid\":\"\(sid)\"}", nil),
            ("{\"status\":\"<b>\",\"sid\":\"\(sid)\"}", nil), ("{\"body\":\"رمز 😀\",\"sid\":\"\(sid)\"}", nil),
            // A SID is evidence even if the rest is cut off.
            ("{\"sid\":\"\(sid)\",\"stat", nil), ("{\"sid\":\"\(sid)\"", nil),
        ] as [(String, String?)])
    func found(_ text: String, _ status: String?) {
        #expect(scan(text)?.sid == ScanTests.sid)
        #expect(scan(text)?.status == status)
    }

    @Test(arguments: [
        "", "{", "}", "null", "[]", "\"sid\"", "{}", "<html>{\"sid\":\"\(sid)\"}</html>", "[{\"sid\":\"\(sid)\"}]",
        "{\"sid\":\"\(sid)", "{\"sid\":\(sid)}", "{\"sid\":\"\(account)\"}", "{\"sid\":\"\(sid)0\"}", "{\"sid\":\"\"}",
        "{\"sid\":null}", "{\"sid\":[\"\(sid)\"]}", "{\"sid\":{\"sid\":\"\(sid)\"}}", "{\"SID\":\"\(sid)\"}",
        "{\"account_sid\":\"\(sid)\"}", "{\"message_sid\":\"\(sid)\"}", "{\"a\":\"sid\":\"\(sid)\"}",
        "{\"body\":\"\\\"sid\\\":\\\"\(sid)\\\"\"}", "{\"a\":{\"sid\":\"\(sid)\"}}", "{\"a\":[\"sid\",\"\(sid)\"]}",
        "{\"a\":\"\\", "{\"a\":\"\\\"", "{\"sid\"", "{\"sid\":",
        "{\"sid\":\"\\u0053M0123456789abcdef0123456789abcde\"}",
        "{\"a\":{{{{", "{\"a\":[[[[", "{\"a\":]", "{\"a\" \"b\"}", ",{\"sid\":\"\(sid)\"}",
    ])
    func notFound(_ text: String) {
        #expect(scan(text) == nil)
    }

    /// Cut at every place: no crash, and the SID appears exactly when its closing quote does.
    @Test func truncations() {
        let bytes = Array(ScanTests.created.utf8)
        let end = ScanTests.created.utf8.count - ScanTests.created.components(after: "\"sid\":\"\(ScanTests.sid)\"")
        for length in 0...bytes.count {
            let prefix = Array(bytes[..<length])
            #expect((CreatedMessage.scan(prefix.span) != nil) == (length >= end), "\(length)")
        }
    }

    /// Random damage and random bytes: always a result and no crash.
    @Test func garbage() {
        var random = SeededGenerator(33)
        let bytes = Array(ScanTests.created.utf8)
        for _ in 0..<3_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let found = CreatedMessage.scan(damaged.span) { #expect(found.sid.description.utf8.count == 34) }
            let alphabet = Array("{}[]\",:\\sid 0SM".utf8)
            let noise = (0..<Int.random(in: 0...200, using: &random)).map { _ in alphabet.randomElement(using: &random)!
            }
            #expect(CreatedMessage.scan(noise.span) == nil)
            _ = ErrorBody(damaged.span)
            _ = ErrorBody(noise.span)
            _ = try? MessageResource(json: damaged.span)
            _ = try? MessagePage(json: damaged.span)
            _ = Outcome.classify(
                httpStatus: Int.random(in: 0...999, using: &random), retryAfter: nil, body: damaged.span)
        }
    }

    /// Random objects, with the SID at a random place among look-alikes.
    @Test func amongLookAlikes() {
        var random = SeededGenerator(34)
        let fillers = [
            "\"account_sid\":\"\(ScanTests.other)\"", "\"body\":\"\\\"sid\\\":\\\"\(ScanTests.other)\\\"\"",
            "\"a\":{\"sid\":\"\(ScanTests.other)\",\"status\":\"failed\"}", "\"b\":[{\"sid\":\"\(ScanTests.other)\"}]",
            "\"c\":\"\\\\\"", "\"d\":12.5e-3", "\"e\":null", "\"f\":\"sid\"", "\"xsid\":\"\(ScanTests.other)\"",
            "\"sidx\":\"\(ScanTests.other)\"", "\"g\":\"\\u0022sid\\u0022\"",
        ]
        for _ in 0..<500 {
            var members = (0..<Int.random(in: 0...10, using: &random)).map { _ in fillers.randomElement(using: &random)!
            }
            members.insert("\"sid\":\"\(ScanTests.sid)\"", at: Int.random(in: 0...members.count, using: &random))
            members.insert("\"status\":\"queued\"", at: Int.random(in: 0...members.count, using: &random))
            let found = scan("{" + members.joined(separator: [",", ", ", " ,\n"].randomElement(using: &random)!) + "}")
            #expect(found?.sid == ScanTests.sid && found?.status == "queued")
        }
    }
}

extension String {
    /// How many bytes follow the first occurrence of `part`.
    fileprivate func components(after part: String) -> Int {
        let whole = Array(utf8)
        let piece = Array(part.utf8)
        for start in 0...(whole.count - piece.count) where Array(whole[start..<(start + piece.count)]) == piece {
            return whole.count - start - piece.count
        }
        return whole.count
    }
}
