import Foundation
import Testing

@testable import TwilioSimulator

@Suite struct FaultTests {
    func apply(_ json: String, to simulator: Simulator) -> Answer {
        simulator.send(.post, "/_sim/faults", Array(json.utf8)).answer
    }

    @Test(arguments: [
        ("+966590200429", 429, Reply.Delivery.whole, false), ("+966590200430", 429, .whole, false),
        ("+966590200403", 403, .whole, false), ("+966590200500", 500, .whole, false),
        ("+966590200503", 503, .whole, false),
        ("+966590200001", 500, .closeUnanswered, false), ("+966590200002", 201, .closeUnanswered, true),
        ("+966590200003", 201, .closeMidAnswer, true), ("+966590200004", 201, .garbage, true),
        ("+966590200005", 201, .whole, true), ("+966590200006", 201, .never, true),
    ])
    func magicFaultsStrikeOnce(to: String, status: Int, delivery: Reply.Delivery, created: Bool) throws {
        let simulator = try Simulator(settings())
        let first = simulator.create(to: to)
        #expect(first.answer.status == status)
        #expect(first.delivery == delivery)
        #expect(simulator.statistics.created == (created ? 1 : 0))
        let again = simulator.create(to: to)
        #expect((again.answer.status, again.delayMilliseconds) == (201, 0))
        #expect(again.delivery == .whole)
    }

    @Test func retryAfterIsThereOrNot() throws {
        let simulator = try Simulator(settings())
        #expect(simulator.create(to: "+966590200429").answer.headers == "Retry-After: 1\r\n")
        #expect(simulator.create(to: "+966590200430").answer.headers == "")
        #expect(simulator.create(to: "+966590200503").answer.content == .html)
        #expect(simulator.create(to: "+966590200005").delayMilliseconds == 3000)
    }

    @Test func theNextRequestsOfAKind() throws {
        let simulator = try Simulator(settings())
        let rules =
            "{\"next\": [{\"fault\": \"429\", \"count\": 2, \"retry_after\": 7}, {\"fault\": \"500\", \"on\": \"list\"}]}"
        #expect(apply(rules, to: simulator).status == 200)
        #expect(simulator.create().answer.headers == "Retry-After: 7\r\n")
        #expect(simulator.send(.get, simulator.listPath).answer.status == 500)
        #expect(simulator.send(.get, simulator.listPath).answer.status == 200)
        #expect(simulator.create().answer.status == 429)
        #expect(simulator.create().answer.status == 201)
        #expect(simulator.statistics.faults == ["429": 2, "500": 1])
    }

    @Test func aFirewallAnswersInTwiliosPlace() throws {
        let simulator = try Simulator(settings())
        let rules =
            "{\"next\": [{\"fault\": \"blocked\", \"status\": 407}, {\"fault\": \"blocked\", \"on\": \"list\"}]}"
        #expect(apply(rules, to: simulator).status == 200)
        let answer = simulator.create().answer
        #expect(answer.status == 407 && answer.content == .html && answer.headers.contains("Via: "))
        #expect(simulator.send(.get, simulator.listPath).answer.status == 403)
        #expect(simulator.create().answer.status == 201)
        #expect(apply("{\"next\": [{\"fault\": \"blocked\", \"status\": 99}]}", to: simulator).status == 400)
    }

    @Test func perNumberAndRefusals() throws {
        let simulator = try Simulator(settings())
        let rules = "{\"numbers\": {\"+966501234567\": {\"fault\": \"refuse\", \"code\": 21610, \"count\": 2}}}"
        #expect(apply(rules, to: simulator).status == 200)
        #expect(simulator.create(to: "+966507654321").answer.status == 201)
        #expect(try json(simulator.create().answer.body)["code"] as? Int == 21610)
        #expect(simulator.create().answer.status == 400)
        #expect(simulator.create().answer.status == 201)
    }

    @Test func ratesAreShares() throws {
        let simulator = try Simulator(settings())
        #expect(apply("{\"rates\": {\"500\": 0.25, \"503\": 0.25}}", to: simulator).status == 200)
        var counts: [Int: Int] = [:]
        for _ in 0..<1000 { counts[simulator.create().answer.status, default: 0] += 1 }
        for status in [500, 503] { #expect((200...300).contains(counts[status] ?? 0)) }
        #expect(apply("{\"rates\": {}}", to: simulator).status == 200)
        #expect(simulator.create().answer.status == 201)
    }

    @Test func limitsOnConcurrencyAndRate() throws {
        let simulator = try Simulator(settings())
        #expect(apply("{\"max_concurrent\": 2, \"max_per_second\": 3}", to: simulator).status == 200)
        simulator.began()
        simulator.began()
        #expect(simulator.create().answer.status == 201)
        simulator.began()
        #expect(simulator.create().answer.status == 429)
        simulator.finished()
        #expect([1, 2, 3].map { _ in simulator.create().answer.status } == [201, 201, 429])
        #expect(simulator.create(at: epoch + second).answer.status == 201)
        #expect(simulator.statistics.maxConcurrent == 3)
        #expect(apply("{\"max_concurrent\": 0, \"max_per_second\": 0}", to: simulator).status == 200)
        #expect([1, 2, 3, 4].map { _ in simulator.create(at: epoch + second).answer.status } == [201, 201, 201, 201])
    }

    @Test(arguments: [
        "", "[]", "{\"nxt\": []}", "{\"next\": [{\"fault\": \"x\"}]}", "{\"rates\": {\"500\": 2}}",
        "{\"next\": [{\"fault\": \"500\", \"on\": \"x\"}]}", "{\"error_format\": \"xml\"}",
        "{\"next\": [{\"fault\": \"500\", \"cuont\": 2}]}", "{\"callbacks\": {\"lots\": 1}}",
    ])
    func aBadPlanChangesNothing(json text: String) throws {
        let simulator = try Simulator(settings())
        let answer = apply(text, to: simulator)
        #expect(answer.status == 400)
        #expect((try json(answer.body)["error"] as? String)?.isEmpty == false)
        #expect(simulator.create().answer.status == 201)
    }

    @Test func startupFaultsComeBackAfterAReset() throws {
        let simulator = try Simulator(settings { $0.faults = Array("{\"next\": [{\"fault\": \"500\"}]}".utf8) })
        #expect(simulator.create().answer.status == 500)
        #expect(simulator.create().answer.status == 201)
        #expect(simulator.send(.post, "/_sim/reset").answer.status == 200)
        #expect(simulator.create().answer.status == 500)
        #expect(throws: ControlError.self) { try Simulator(settings { $0.faults = Array("{".utf8) }) }
    }

    @Test func latencyIsOnEveryAnswer() throws {
        let simulator = try Simulator(settings { $0.latencyMilliseconds = 40 })
        #expect(simulator.create().delayMilliseconds == 40)
        #expect(simulator.create(to: "+966590200005").delayMilliseconds == 3040)
        #expect(simulator.send(.get, "/healthz").delayMilliseconds == 0)
    }

    @Test func callbacksGoWithTheMessage() throws {
        let simulator = try Simulator(settings())
        let url = "http://127.0.0.1:9/cb?ref=x"
        let reply = simulator.create(to: "+966590130005", more: [("StatusCallback", url)])
        #expect(reply.callbacks.map(\.callback.status) == ["sending", "sent", "undelivered"])
        #expect(reply.callbacks.map(\.afterMilliseconds) == [200, 500, 1500])
        let last = try #require(reply.callbacks.last).callback
        let parameters = Dictionary(uniqueKeysWithValues: last.parameters)
        #expect(parameters["MessageStatus"] == "undelivered")
        #expect(parameters["ErrorCode"] == "30005")
        #expect(parameters["To"] == "+966590130005")
        #expect(reply.callbacks[0].callback.parameters.contains { $0.name == "ErrorCode" } == false)
        #expect(simulator.create(to: "+966590021211", more: [("StatusCallback", url)]).callbacks == [])
        #expect(simulator.create(more: [("StatusCallback", "https://x/")]).callbacks == [])
        #expect(simulator.statistics.callbacksUnsupported == 1)
        // Messages with a lost answer still have callbacks, from which otpd learns the SID.
        #expect(simulator.create(to: "+966590200002", more: [("StatusCallback", url)]).callbacks.count == 3)
    }

    @Test func theInboxShowsTheText() throws {
        let simulator = try Simulator(settings())
        _ = simulator.create(to: "+966500000001", body: "رمز \"1\"\n")
        let sid = try simulator.createdSID(to: "+966500000002", at: epoch + 5)
        func inbox(_ query: String) throws -> [[String: Any]] {
            try json(simulator.send(.get, "/_sim/inbox" + query).answer.body)["messages"] as? [[String: Any]] ?? []
        }
        #expect(try inbox("").map { $0["to"] as? String } == ["+966500000002", "+966500000001"])
        #expect(try inbox("?limit=1").count == 1)
        #expect(try inbox("?sid=\(sid)").first?["received_at"] as? Int == Int(epoch + 5))
        #expect(try inbox("?before=\(sid)").map { $0["to"] as? String } == ["+966500000001"])
        #expect(try inbox("?to=+966500000001").first?["body"] as? String == "رمز \"1\"\n")
        let stats = try json(simulator.send(.get, "/_sim/stats").answer.body)
        #expect(stats["created"] as? Int == 2)
        #expect(stats["by_to"] as? [String: Int] == ["+966500000001": 1, "+966500000002": 1])
    }
}
