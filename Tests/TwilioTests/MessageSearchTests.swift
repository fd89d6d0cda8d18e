import OTP
import Testing

@testable import Twilio

struct MessageSearchTests {
    static let number = try! PhoneNumber(e164: "+966501234567")
    static let since: Int64 = 1_700_000_000
    /// In RFC 2822: `since`, and eleven minutes before it, which exceeds the allowed difference of two clocks.
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

    @Test(
        arguments: [
            ("123456", .apart), ("Your code is: 123456.", .apart), ("رمز: 123456. صالح", .apart), ("123456 1", .apart),
            ("1234567", .within), ("0123456", .within), ("PIN123456", .within), ("123456Z", .within),
            ("12345 6", .nowhere), ("", .nowhere), ("12345", .nowhere), ("1234567 then 123456", .apart),
            ("#123456", .apart), ("123456123456", .within), ("654321", .nowhere),
        ] as [(String, MessageSearch.Occurrence)])
    func theCodeStandsApart(_ text: String, _ occurrence: MessageSearch.Occurrence) {
        #expect(MessageSearch.occurrence(of: Array("123456".utf8), in: text.utf8.span) == occurrence)
    }

    /// A template without a space before the code must not cause a second send.
    @Test func aCodeAmongLettersIsNoProofOfAbsence() throws {
        var search = try search()
        _ = search.read(try Self.page([Self.message(1, body: "PIN123456")]))
        #expect(search.matches.isEmpty)
        #expect(search.hidden.count == 1)
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

    /// A message without a readable date may be the one that is searched for.
    @Test func aMessageWithoutADateCounts() throws {
        var search = try search()
        _ = search.read(try Self.page([Self.message(1, body: "123456", at: "soon")]))
        #expect(search.matches.count == 1)
    }
}
