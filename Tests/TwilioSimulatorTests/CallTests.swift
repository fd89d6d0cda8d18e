import Foundation
import Testing

@testable import TwilioSimulator

extension Simulator {
    var callsBase: String { "/2010-04-01/Accounts/\(settings.accountSID)/Calls" }

    func call(
        to: String = "+966501234567", from: String = sender,
        twiml: String = "<Response><Say><say-as interpret-as=\"digits\">482913</say-as></Say></Response>",
        more: [(String, String)] = [], at now: Microseconds = epoch
    ) -> Reply {
        let fields = [("To", to), ("From", from), ("Twiml", twiml)].filter { !$0.1.isEmpty } + more
        return send(.post, callsBase + ".json", encoded(fields), at: now)
    }

    func calledSID(to: String = "+966501234567", at now: Microseconds = epoch) throws -> String {
        try json(call(to: to, at: now).answer.body)["sid"] as? String ?? ""
    }

    func fetchCall(_ sid: String, at now: Microseconds) throws -> [String: Any] {
        try json(send(.get, "\(callsBase)/\(sid).json", at: now).answer.body)
    }

    func listCalls(_ query: String, at now: Microseconds) throws -> [String: Any] {
        try json(send(.get, "\(callsBase).json?\(query)", at: now).answer.body)
    }

    func end(_ sid: String, _ status: String, at now: Microseconds) -> Reply {
        send(.post, "\(callsBase)/\(sid).json", encoded([("Status", status)]), at: now)
    }
}

@Suite struct CallTests {
    private static let url = "http://127.0.0.1:9/cb?ref=x"
    private static let allEvents = ["initiated", "ringing", "answered", "completed"].map { ("StatusCallbackEvent", $0) }

    private func sids(_ list: [String: Any]) -> [String] {
        (list["calls"] as? [[String: Any]] ?? []).compactMap { $0["sid"] as? String }
    }

    @Test func aCallGoesThroughItsStatuses() throws {
        let simulator = try Simulator(settings())
        let reply = simulator.call()
        let created = try json(reply.answer.body)
        #expect(reply.answer.status == 201)
        #expect(created["status"] as? String == "queued")
        for field in ["date_created", "start_time", "end_time", "duration", "price"] {
            #expect(created[field] is NSNull)
        }
        let sid = try #require(created["sid"] as? String)
        #expect(sid.hasPrefix("CA") && sid.utf8.count == 34)
        let statuses = try [0, 200, 500, 1499, 1500].map {
            try simulator.fetchCall(sid, at: epoch + $0 * 1000)["status"] as? String
        }
        #expect(statuses == ["initiated", "ringing", "in-progress", "in-progress", "completed"])
        let ended = try simulator.fetchCall(sid, at: epoch + 9 * second)
        #expect((ended["price"] as? String, ended["price_unit"] as? String) == ("-0.01300", "USD"))
        #expect(ended["duration"] as? String == "1")
        #expect(ended["start_time"] as? String == "Tue, 14 Nov 2023 22:13:20 +0000")
        #expect(ended["end_time"] as? String == "Tue, 14 Nov 2023 22:13:21 +0000")
        #expect((ended["to"] as? String, ended["from"] as? String) == ("+966501234567", sender))
    }

    @Test(arguments: [
        ("", sender, [], 21201), ("+966501234567", "", [], 21213), ("0501", sender, [], 21211),
        ("whatsapp:+966501234567", sender, [], 21211), ("+966501234567", "Mgask", [], 21212),
        ("+966501234567", "whatsapp:+15005550006", [], 21212), ("+966501234567", "+15005550007", [], 21210),
        ("+966501234567", "+15005550001", [], 21212), ("+15005550001", sender, [], 21217),
        ("+15005550002", sender, [], 21214), ("+15005550003", sender, [], 21215), ("+15005550004", sender, [], 21216),
        ("+966590021215", sender, [], 21215), ("+966501234567", sender, [("StatusCallback", "ftp://x")], 21609),
        ("+966501234567", sender, [("Url", "nonsense")], 21205),
        ("+966501234567", sender, [("StatusCallbackEvent", "gone")], 21626),
        ("+966501234567", sender, [("Timeout", "0")], 20001), ("+966501234567", sender, [("Timeout", "x")], 20001),
    ])
    func refuses(to: String, from: String, more: [(String, String)], code: Int) throws {
        let simulator = try Simulator(settings())
        let reply = simulator.call(to: to, from: from, more: more)
        #expect(try json(reply.answer.body)["code"] as? Int == code)
        #expect(reply.answer.status == 400)
        #expect((simulator.statistics[.call].created, simulator.statistics[.call].refused) == (0, 1))
    }

    @Test func aCallNeedsWords() throws {
        let simulator = try Simulator(settings())
        #expect(try json(simulator.call(twiml: "").answer.body)["code"] as? Int == 21205)
        #expect(try json(simulator.call(twiml: "<Response>").answer.body)["code"] as? Int == 12100)
        let wrongPair = "<Response><Say voice=\"Polly.Joanna\" language=\"arb\">x</Say></Response>"
        #expect(try json(simulator.call(twiml: wrongPair).answer.body)["code"] as? Int == 13520)
        #expect(simulator.call(twiml: "", more: [("Url", "https://example.com/words")]).answer.status == 201)
    }

    @Test(arguments: [
        ("+966590400001", "busy", ["initiated", "ringing", "busy"]),
        ("+966590400002", "no-answer", ["initiated", "ringing", "no-answer"]),
        ("+966590400003", "failed", ["initiated", "failed"]), ("+966590400004", "canceled", ["initiated", "canceled"]),
        ("+966590130003", "failed", ["initiated", "failed"]),
        ("+966590530003", "completed", ["initiated", "ringing", "in-progress", "completed"]),
    ])
    func magicEndings(to: String, status: String, events: [String]) throws {
        let simulator = try Simulator(settings())
        let reply = simulator.call(to: to, more: [("StatusCallback", Self.url)] + Self.allEvents)
        #expect(reply.callbacks.map(\.callback.status) == events)
        let sid = try #require(try json(reply.answer.body)["sid"] as? String)
        let ended = try simulator.fetchCall(sid, at: epoch + 9 * second)
        #expect(ended["status"] as? String == status)
        #expect(ended["price"] is NSNull == (status != "completed"))
        #expect(try json(simulator.create(to: "+966590400001").answer.body)["status"] as? String == "queued")
    }

    @Test func faultsEndCallsAlone() throws {
        let simulator = try Simulator(settings())
        try simulator.applyFaults(
            Array("{\"next\": [{\"fault\": \"busy\"}, {\"fault\": \"429\", \"channel\": \"call\"}]}".utf8))
        #expect(simulator.create().answer.status == 201)
        let sid = try simulator.calledSID()
        #expect(try simulator.fetchCall(sid, at: epoch + 9 * second)["status"] as? String == "busy")
        #expect(simulator.create().answer.status == 201)
        #expect(simulator.call().answer.status == 429)
        #expect(simulator.call().answer.status == 201)
        #expect(simulator.statistics[.call].tooManyRequests == 1)
        for bad in [
            "{\"fault\":\"busy\",\"channel\":\"sms\"}", "{\"fault\":\"429\",\"channel\":\"email\"}",
            "{\"fault\":\"429\",\"channel\":\"fax\"}",
        ] {
            #expect(throws: ControlError.self) { try simulator.applyFaults(Array("{\"next\":[\(bad)]}".utf8)) }
        }
    }

    @Test func oneCallASecondLeavesTheQueue() throws {
        let simulator = try Simulator(settings())
        let sids = try (0..<3).map { _ in try simulator.calledSID() }
        func statuses(_ milliseconds: Int64) throws -> [String?] {
            try sids.map { try simulator.fetchCall($0, at: epoch + milliseconds * 1000)["status"] as? String }
        }
        #expect(try statuses(0) == ["initiated", "queued", "queued"])
        #expect(try statuses(1000) == ["in-progress", "initiated", "queued"])
        #expect(try statuses(2500) == ["completed", "completed", "in-progress"])
        let last = try simulator.fetchCall(sids[2], at: epoch + 9 * second)
        #expect(last["queue_time"] as? String == "2000")
        // A pause frees the line again.
        let later = try simulator.calledSID(at: epoch + 60 * second)
        #expect(try simulator.fetchCall(later, at: epoch + 60 * second)["status"] as? String == "initiated")
        try simulator.applyFaults(Array("{\"calls_per_second\": 0}".utf8))
        #expect(throws: ControlError.self) { try simulator.applyFaults(Array("{\"calls_per_second\": -1}".utf8)) }
        for _ in 0..<3 {
            let sid = try simulator.calledSID(at: epoch + 90 * second)
            #expect(try simulator.fetchCall(sid, at: epoch + 90 * second)["status"] as? String == "initiated")
        }
    }

    @Test func theAccountEndsACall() throws {
        let simulator = try Simulator(settings())
        let sid = try simulator.calledSID()
        let waiting = try simulator.calledSID()
        // In the queue.
        #expect(simulator.end(waiting, "canceled", at: epoch).answer.status == 200)
        let canceled = try simulator.fetchCall(waiting, at: epoch + 9 * second)
        #expect(canceled["status"] as? String == "canceled")
        #expect(canceled["start_time"] is NSNull && canceled["price"] is NSNull)
        // Answered: only completed ends it.
        let answered = epoch + 600_000
        #expect(try json(simulator.end(sid, "canceled", at: answered).answer.body)["code"] as? Int == 21220)
        #expect(try json(simulator.end(sid, "completed", at: answered).answer.body)["status"] as? String == "completed")
        #expect(try simulator.fetchCall(sid, at: answered)["price"] as? String == "-0.01300")
        // Over.
        #expect(try json(simulator.end(sid, "completed", at: epoch + 9 * second).answer.body)["code"] as? Int == 21220)
        #expect(simulator.end(sid, "paused", at: epoch).answer.status == 400)
        #expect(simulator.end("CA" + String(repeating: "0", count: 32), "canceled", at: epoch).answer.status == 404)
    }

    @Test func aCallThatEndedEarlyHasNoLaterEvents() throws {
        let simulator = try Simulator(settings())
        let reply = simulator.call(more: [("StatusCallback", Self.url)] + Self.allEvents)
        let planned = reply.callbacks.map(\.callback)
        #expect(planned.allSatisfy(simulator.isDue))
        let sid = try #require(try json(reply.answer.body)["sid"] as? String)
        let ended = simulator.end(sid, "canceled", at: epoch + 300_000)
        #expect(ended.callbacks.map(\.callback.status) == ["canceled"])
        #expect(ended.callbacks.map(\.afterMilliseconds) == [0])
        #expect(planned.map(simulator.isDue) == [true, true, false, false])
        #expect(ended.callbacks.map(\.callback).allSatisfy(simulator.isDue))
        try simulator.reset()
        #expect(!planned.contains(where: simulator.isDue))
    }

    @Test func eventsSayWhatHappened() throws {
        let simulator = try Simulator(settings())
        let some = [("StatusCallback", Self.url), ("StatusCallbackEvent", "answered completed")]
        #expect(simulator.call(more: some).callbacks.map(\.callback.status) == ["in-progress", "completed"])
        let alone = simulator.call(more: [("StatusCallback", Self.url)], at: epoch + 60 * second)
        #expect(alone.callbacks.map(\.callback.status) == ["completed"])
        let reply = simulator.call(more: [("StatusCallback", Self.url)] + Self.allEvents, at: epoch + 120 * second)
        #expect(reply.callbacks.map(\.afterMilliseconds) == [0, 200, 500, 1500])
        let events = reply.callbacks.map { Dictionary(uniqueKeysWithValues: $0.callback.parameters) }
        #expect(events.map { $0["SequenceNumber"] } == ["0", "1", "2", "3"])
        #expect(events.map { $0["CallDuration"] } == [nil, nil, nil, "1"])
        #expect(try json(reply.answer.body)["sid"] as? String == events[3]["CallSid"])
        #expect(events[3]["Timestamp"] == "Tue, 14 Nov 2023 22:15:21 +0000")
        #expect(events[0]["MessageStatus"] == nil)
        #expect(simulator.call(more: [("StatusCallback", "http://10.0.0.1/")]).callbacks == [])
        #expect(simulator.statistics.callbacksRefused == 1)
    }

    @Test func theListFiltersAndPages() throws {
        let simulator = try Simulator(settings { $0.callsPerSecond = 0 })
        let sids = try (0..<5).map { number in
            try simulator.calledSID(
                to: number % 2 == 0 ? "+966500000000" : "+966511111111", at: epoch + Int64(number) * second)
        }.reversed().map { $0 }
        let later = epoch + 100 * second
        func listed(_ query: String, at now: Microseconds? = nil) throws -> [String] {
            try self.sids(simulator.listCalls(query, at: now ?? later))
        }
        #expect(try listed("") == sids)
        #expect(try listed("To=%2B966511111111") == [sids[1], sids[3]])
        #expect(try listed("From=%2B1") == [])
        #expect(try listed("Status=completed") == sids)
        #expect(try listed("Status=busy") == [])
        #expect(try listed("StartTime%3E=2023-11-14T22:13:22Z") == Array(sids[0..<3]))
        #expect(try listed("StartTime%3C=2023-11-13") == [])
        var seen: [[String]] = []
        var uri: String? = simulator.callsBase + ".json?PageSize=2"
        while let next = uri {
            let page = try json(simulator.send(.get, next, at: later).answer.body)
            seen.append(self.sids(page))
            uri = page["next_page_uri"] as? String
        }
        #expect(seen == [Array(sids[0..<2]), Array(sids[2..<4]), [sids[4]]])
        for bad in ["Status=gone", "StartTime=yesterday", "PageSize=0", "PageToken=PACA0"] {
            #expect(try simulator.listCalls(bad, at: later)["status"] as? Int == 400, "\(bad)")
        }
        try simulator.applyFaults(Array("{\"list_lag_ms\": 2000}".utf8))
        #expect(try listed("", at: epoch + 4 * second) == Array(sids[2...]))
    }

    @Test func aQueuedCallHasNoStartTime() throws {
        let simulator = try Simulator(settings())
        let first = try simulator.calledSID()
        let second = try simulator.calledSID()
        #expect(try sids(simulator.listCalls("StartTime=2023-11-14", at: epoch)) == [first])
        #expect(try sids(simulator.listCalls("", at: epoch)) == [second, first])
    }

    @Test func anSMSAndACallToOneMagicNumberAreBothFirst() throws {
        let simulator = try Simulator(settings())
        #expect(simulator.create(to: "+966590200500").answer.status == 500)
        #expect(simulator.call(to: "+966590200500").answer.status == 500)
        #expect(simulator.call(to: "+966590200500").answer.status == 201)
    }
}
