import Testing

@testable import TwilioSimulator

/// `ProvideFeedback` and `Feedback.json`.
@Suite struct FeedbackTests {
    private func path(_ simulator: Simulator, _ sid: String) -> String {
        simulator.messagePath(sid).dropLast(".json".count) + "/Feedback.json"
    }

    private func created(_ simulator: Simulator, _ wanted: String? = "true") throws -> String {
        let more = wanted.map { [("ProvideFeedback", $0)] } ?? []
        return try #require(json(simulator.create(more: more).answer.body)["sid"] as? String)
    }

    private func shown(_ simulator: Simulator) throws -> [String?] {
        let entries = try json(simulator.send(.get, "/_sim/inbox").answer.body)["messages"] as? [[String: Any]]
        return try #require(entries).map { $0["feedback"] as? String }
    }

    private func post(_ simulator: Simulator, _ sid: String, _ fields: [(String, String)] = [("Outcome", "confirmed")])
        -> Answer
    {
        simulator.send(.post, path(simulator, sid), encoded(fields)).answer
    }

    @Test func isRecordedAndShown() throws {
        let simulator = try Simulator(settings())
        let sid = try created(simulator)
        #expect(try shown(simulator) == ["expected"])
        let answer = post(simulator, sid)
        #expect(answer.status == 200)
        let resource = try json(answer.body)
        #expect(resource["outcome"] as? String == "confirmed" && resource["message_sid"] as? String == sid)
        #expect(resource["uri"] as? String == path(simulator, sid))
        #expect(Set(resource.keys) == ["account_sid", "date_created", "date_updated", "message_sid", "outcome", "uri"])
        #expect(try shown(simulator) == ["confirmed"])
        #expect(post(simulator, sid).status == 200, "twice is harmless")
        #expect(post(simulator, sid, [("Outcome", "unconfirmed")]).status == 200)
        #expect(try shown(simulator) == ["unconfirmed"])
        #expect(try json(simulator.send(.get, "/_sim/stats").answer.body)["feedbacks"] as? Int == 3)
    }

    @Test func isRefused() throws {
        let simulator = try Simulator(settings())
        let sid = try created(simulator)
        #expect(post(simulator, sid, [("Outcome", "maybe")]).status == 400)
        let unknown = "SM" + String(repeating: "0", count: 32)
        for other in [try created(simulator, nil), try created(simulator, "false"), unknown] {
            let answer = post(simulator, other)
            #expect(answer.status == 404, "\(other)")
            #expect(try json(answer.body)["code"] as? Int == 20404)
        }
        #expect(simulator.send(.get, path(simulator, sid)).answer.status == 405)
        #expect(try shown(simulator) == [nil, nil, "expected"])
    }

    @Test(arguments: [("429", 429), ("500", 500), ("503", 503), ("refuse", 400)])
    func hasFaults(fault: String, status: Int) throws {
        let simulator = try Simulator(settings())
        let sid = try created(simulator)
        let rule = #"{"next": [{"fault": "\#(fault)", "on": "feedback", "code": 20001}]}"#
        #expect(simulator.send(.post, "/_sim/faults", Array(rule.utf8)).answer.status == 200)
        #expect(simulator.create().answer.status == 201, "the fault is for feedback alone")
        #expect(post(simulator, sid).status == status)
        #expect(post(simulator, sid).status == 200)
    }

    @Test func needsAnActiveAccount() throws {
        let simulator = try Simulator(settings())
        let sid = try created(simulator)
        _ = simulator.send(.post, "/_sim/faults", Array(#"{"account_status": "suspended"}"#.utf8))
        #expect(post(simulator, sid).status == 403)
    }
}
