import Testing

@testable import TwilioSimulator

/// The risk of numbers.
@Suite struct LookupTests {
    private func risk(_ simulator: Simulator, _ number: String) throws -> [String: Any] {
        let answer = simulator.send(.get, "/v2/PhoneNumbers/\(number)?Fields=sms_pumping_risk").answer
        #expect(answer.status == 200)
        let resource = try json(answer.body)
        #expect(resource["phone_number"] as? String == "+" + number.suffix(12))
        return try #require(resource["sms_pumping_risk"] as? [String: Any])
    }

    @Test(arguments: [("%2B966501234567", 10), ("+966590700097", 97), ("%2B966590700000", 0), ("966590700100", 100)])
    func hasAScore(number: String, score: Int) throws {
        let simulator = try Simulator(settings())
        #expect(try risk(simulator, number)["sms_pumping_risk_score"] as? Int == score)
        #expect(try json(simulator.send(.get, "/_sim/stats").answer.body)["lookups"] as? Int == 1)
    }

    @Test func hasNoneForSomeNumbers() throws {
        let risk = try risk(Simulator(settings()), "%2B966590700101")
        #expect(risk["error_code"] as? Int == 60600 && risk["sms_pumping_risk_score"] as? Int == nil)
    }

    @Test func needsItsField() throws {
        let simulator = try Simulator(settings())
        let body = simulator.send(.get, "/v2/PhoneNumbers/%2B966501234567").answer.body
        #expect(try json(body)["sms_pumping_risk"] is [String: Any] == false)
    }

    @Test func isRefused() throws {
        let simulator = try Simulator(settings())
        #expect(simulator.send(.get, "/v2/PhoneNumbers/%2B12?Fields=sms_pumping_risk").answer.status == 404)
        #expect(simulator.send(.post, "/v2/PhoneNumbers/%2B966501234567").answer.status == 405)
        let rule = #"{"next": [{"fault": "503", "on": "lookup"}]}"#
        #expect(simulator.send(.post, "/_sim/faults", Array(rule.utf8)).answer.status == 200)
        #expect(simulator.create().answer.status == 201, "the fault is for lookups alone")
        #expect(simulator.send(.get, "/v2/PhoneNumbers/%2B966501234567").answer.status == 503)
        _ = simulator.send(.post, "/_sim/faults", Array(#"{"account_status": "suspended"}"#.utf8))
        #expect(simulator.send(.get, "/v2/PhoneNumbers/%2B966501234567").answer.status == 403)
    }
}
