import Foundation
import Testing

@testable import TwilioSimulator

/// The readable part of the account, its numbers and its short codes.
@Suite struct AccountTests {
    private let base = "/2010-04-01/Accounts/\(Settings().accountSID)"

    private func get(_ simulator: Simulator, _ path: String) throws -> [String: Any] {
        try json(simulator.send(.get, base + path).answer.body)
    }

    @Test func theAccountSaysWhatItIs() throws {
        let simulator = try Simulator(settings())
        var account = try get(simulator, ".json")
        #expect(account["status"] as? String == "active")
        #expect(account["type"] as? String == "Full")
        #expect(account["sid"] as? String == simulator.settings.accountSID)
        #expect(account["auth_token"] is NSNull)
        try simulator.applyFaults(Array(#"{"account_status": "suspended", "account_type": "Trial"}"#.utf8))
        account = try get(simulator, ".json")
        #expect(account["status"] as? String == "suspended")
        #expect(account["type"] as? String == "Trial")
        try simulator.reset()
        #expect(try get(simulator, ".json")["status"] as? String == "active")
        for wrong in [#"{"account_status": "asleep"}"#, #"{"account_type": "trial"}"#] {
            #expect(throws: ControlError.self) { try simulator.applyFaults(Array(wrong.utf8)) }
        }
    }

    @Test func anAccountThatIsNotActiveTakesNothing() throws {
        let simulator = try Simulator(settings())
        try simulator.applyFaults(Array(#"{"account_status": "closed"}"#.utf8))
        #expect(simulator.create().answer.status == 403)
        #expect(try get(simulator, "/Messages.json")["code"] as? Int == 20005)
        #expect(simulator.statistics.created == 0)
        try simulator.applyFaults(Array(#"{"account_status": "active"}"#.utf8))
        #expect(simulator.create().answer.status == 201)
    }

    /// As at Twilio, standard keys may read everything but the account and keys.
    @Test func aStandardKeyMayNotReadTheAccount() throws {
        let simulator = try Simulator(settings { ($0.apiKeySID, $0.apiKeySecret) = ("SK1", "s3cret") })
        func status(_ path: String) -> Int {
            let header = "Basic " + Base64.encode(Array("SK1:s3cret".utf8))
            return simulator.respond(
                to: Request(method: .get, target: base + path, authorization: header), at: epoch
            ).answer.status
        }
        #expect(status(".json") == 401)
        #expect(status("/Messages.json") == 200)
        #expect(status("/IncomingPhoneNumbers.json") == 200)
        #expect(simulator.send(.get, base + ".json").answer.status == 200)
    }

    @Test(arguments: [
        ("%2B15005550006", "+15005550006", true), ("%2B966112345678", "+966112345678", true),
        ("%2B15005550007", "+15005550007", false), ("", "+15005550006", true),
    ])
    func numbersThatItHas(asked: String, number: String, sms: Bool) throws {
        let list = try get(try Simulator(settings()), "/IncomingPhoneNumbers.json?PhoneNumber=\(asked)")
        let entries = try #require(list["incoming_phone_numbers"] as? [[String: Any]])
        #expect(entries.map { $0["phone_number"] as? String } == [number])
        let capabilities = try #require(entries.first?["capabilities"] as? [String: Bool])
        #expect(capabilities["sms"] == sms)
        #expect(Set(capabilities.keys) == ["fax", "mms", "sms", "voice"])
        let sid = try #require(entries.first?["sid"] as? String)
        #expect(sid.count == 34 && sid.hasPrefix("PN"))
        #expect(list["next_page_uri"] is NSNull)
        #expect(list["page"] as? Int == 0)
    }

    @Test(arguments: ["%2B15005550001", "12345", "Name", "%2B"])
    func numbersThatItHasNot(asked: String) throws {
        let list = try get(try Simulator(settings()), "/IncomingPhoneNumbers.json?PhoneNumber=\(asked)")
        #expect((list["incoming_phone_numbers"] as? [[String: Any]])?.isEmpty == true)
    }

    @Test func shortCodes() throws {
        let simulator = try Simulator(settings())
        let list = try get(simulator, "/SMS/ShortCodes.json?ShortCode=12345")
        #expect((list["short_codes"] as? [[String: Any]])?.map { $0["short_code"] as? String } == ["12345"])
        #expect((try get(simulator, "/SMS/ShortCodes.json")["short_codes"] as? [[String: Any]])?.isEmpty == true)
        #expect(simulator.send(.post, base + "/SMS/ShortCodes.json").answer.status == 405)
        #expect(simulator.send(.delete, base + "/IncomingPhoneNumbers.json").answer.status == 405)
    }
}
