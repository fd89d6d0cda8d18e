import OTP
import Testing

@testable import Twilio

struct CountrySendersTests {
    static let service = "MG0123456789abcdef0123456789abcdef"

    func fields(_ form: CreateMessage) -> [String: String] {
        var buffer: [UInt8] = []
        _ = form.write(
            into: &buffer, to: CreateMessageTests.number, body: "x".utf8.span, lifeLeft: .seconds(60), job: 7,
            attempt: 2)
        return Dictionary(
            uniqueKeysWithValues: decodeForm(buffer).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) })
    }

    @Test func aCountryHasItsOwnAndTheOthersTheWorkers() throws {
        var senders = CountrySenders(
            standard: try Sender(from: "+15005550006"), statusCallback: "https://example.com/cb")
        #expect(fields(try senders.form(country: "SA"))["From"] == "+15005550006")
        senders.read(["SA": "Mgask", "EG": Self.service, "US": "12345", "CA": "+15005550009"])
        #expect(fields(try senders.form(country: "SA"))["From"] == "Mgask")
        #expect(fields(try senders.form(country: "US"))["From"] == "12345")
        #expect(fields(try senders.form(country: "CA"))["From"] == "+15005550009")
        let service = fields(try senders.form(country: "EG"))
        #expect(service["MessagingServiceSid"] == Self.service && service["From"] == nil)
        for country in ["FR", "", "sa"] {
            #expect(fields(try senders.form(country: country))["From"] == "+15005550006")
        }
        // Each has the same callback URL as the worker's own sender.
        for country in ["SA", "EG", "FR"] {
            #expect(
                fields(try senders.form(country: country))["StatusCallback"]
                    == "https://example.com/cb?reference=7.2")
        }
        senders.read(["EG": "Mgask"])
        #expect(try senders.form(country: "SA").sender == .from("+15005550006"), "a row that is gone is forgotten")
        #expect(try senders.form(country: "EG").sender.text == "Mgask")
    }

    @Test("a row that is no sender costs its own country and no other, and no other sender steps in")
    func badRows() throws {
        var senders = CountrySenders(standard: try Sender(from: "+15005550006"), statusCallback: nil)
        senders.read(["SA": "Mgask"])
        senders.read(["SA": "TwelveLetter", "EG": "My-App", "US": "Mgask"])
        #expect(senders.badRows.map(\.country) == ["EG", "SA"])
        let bad = #expect(throws: CountrySenders.BadRow.self) { try senders.form(country: "SA") }
        #expect(bad?.description.contains("SA") == true && bad?.description.contains("otp.countries") == true)
        #expect(try senders.form(country: "US").sender.text == "Mgask")
        #expect(try senders.form(country: "FR").sender.text == "+15005550006")
    }

    @Test func aServiceIsToldFromANameByItsLength() throws {
        #expect(try Sender(country: Self.service) == .messagingService(Self.service))
        #expect(try Sender(country: "MGask") == .from("MGask"))
        for bad in ["MG0123456789abcdef0123456789abcde", "MG0123456789abcdef0123456789abcdeg", " Mgask", "Mgask\n"] {
            #expect(throws: SettingProblem.self) { try Sender(country: bad) }
        }
    }
}
