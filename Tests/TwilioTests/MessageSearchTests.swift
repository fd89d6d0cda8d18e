import OTP
import Testing

@testable import Twilio

struct MessageSearchTests {
    static let number = try! PhoneNumber(e164: "+966501234567")
    static let since: Int64 = 1_700_000_000
    /// In RFC 2822: `since`, and eleven minutes before it, which is more than two clocks may differ.
    static let now = "Tue, 14 Nov 2023 22:13:20 +0000"
    static let before = "Tue, 14 Nov 2023 22:02:20 +0000"

    static func message(_ serial: Int, body: String?, to: String = "+966501234567", at date: String = now) -> String {
        let sid = "SM" + String(repeating: "0", count: 30) + (serial < 10 ? "0\(serial)" : "\(serial)")
        let text = body.map { "\"\($0)\"" } ?? "null"
        return """
            {"sid": "\(sid)", "status": "sent", "to": "\(to)", "body": \(text), "date_created": "\(date)"}
            """
    }

    static func page(_ messages: [String], next: Bool = false) throws -> MessagePage {
        let uri = next ? "\"/2010-04-01/Accounts/AC0/Messages.json?Page=1\"" : "null"
        let text = "{\"messages\": [\(messages.joined(separator: ","))], \"next_page_uri\": \(uri)}"
        return try MessagePage(json: Array(text.utf8).span)
    }

    func search(_ code: String = "123456") throws -> MessageSearch {
        MessageSearch(for: try Code(code), to: Self.number, since: Self.since)
    }

    @Test(arguments: [
        ("123456", true), ("Your code is: 123456.", true), ("رمز: 123456. صالح", true), ("123456 1", true),
        ("1234567", false), ("0123456", false), ("a123456", false), ("123456Z", false), ("12345 6", false),
        ("", false), ("12345", false), ("1234567 then 123456", true), ("#123456", true), ("123456123456", false),
    ])
    func theCodeStandsApart(_ text: String, _ occurs: Bool) {
        #expect(MessageSearch.occurs(Array("123456".utf8), in: text.utf8.span) == occurs)
    }

    @Test func aMessageOfTheNumberWithTheCodeMatches() throws {
        var search = try search()
        let more = search.read(
            try Self.page([
                Self.message(1, body: "Your code is 123456."), Self.message(2, body: "Your code is 654321."),
                Self.message(3, body: "123456", to: "+966509999999"), Self.message(4, body: "again 123456"),
            ]))
        #expect(!more)
        #expect(search.matches.map { $0.sid.description.suffix(2) } == ["01", "04"])
        #expect(search.hidden.isEmpty)
    }

    @Test(arguments: ["", nil] as [String?])
    func aTextThatIsNotShownIsHidden(_ body: String?) throws {
        var search = try search()
        _ = search.read(try Self.page([Self.message(1, body: body)]))
        #expect(search.matches.isEmpty)
        #expect(search.hidden.count == 1)
    }

    @Test func pagesAreReadUntilTheyAreOlderThanTheRequest() throws {
        var search = try search()
        #expect(search.read(try Self.page([Self.message(1, body: "x")], next: true)))
        let old = [Self.message(2, body: "y"), Self.message(3, body: "123456", at: Self.before)]
        #expect(!search.read(try Self.page(old, next: true)))
        #expect(search.matches.isEmpty)
    }

    /// A message without a readable date may be this one.
    @Test func aMessageWithoutADateCounts() throws {
        var search = try search()
        _ = search.read(try Self.page([Self.message(1, body: "123456", at: "soon")]))
        #expect(search.matches.count == 1)
    }
}
