import Foundation
import Testing

@testable import TwilioSimulator

@Suite struct RefusalTests {
    @Test(arguments: [
        ("", sender, "x", 21604), ("+966501234567", "", "x", 21603), ("+966501234567", sender, "", 21602),
        ("123", sender, "x", 21211), ("+9665x1234567", sender, "x", 21211),
        (String(repeating: "9", count: 70), sender, "x", 21211), ("+15005550001", sender, "x", 21211),
        ("+15005550002", sender, "x", 21612), ("+15005550003", sender, "x", 21408),
        ("+15005550004", sender, "x", 21610), ("+15005550009", sender, "x", 21614),
        ("+966501234567", "+15005550001", "x", 21212), ("+966501234567", "+15005550007", "x", 21606),
        ("+966501234567", "+15005550008", "x", 21611), ("+966590021211", sender, "x", 21211),
        ("+966590021608", sender, "x", 21608), ("+966590021610", sender, "x", 21610),
        ("+966590021614", sender, "x", 21614), ("+966590012345", sender, "x", 12345),
        ("+966501234567", sender, String(repeating: "a", count: 1601), 21617),
    ])
    func refuses(to: String, from: String, body: String, code: Int) throws {
        let simulator = try Simulator(settings())
        let reply = simulator.create(to: to, from: from, body: body)
        let error = try json(reply.answer.body)
        #expect(error["code"] as? Int == code)
        #expect(error["status"] as? Int == reply.answer.status)
        #expect(reply.answer.status == 400)
        #expect(error["more_info"] as? String == "https://www.twilio.com/docs/errors/\(code)")
        #expect((error["message"] as? String)?.isEmpty == false)
        #expect(simulator.statistics.created == 0)
        #expect(simulator.statistics.refused == 1)
    }

    @Test func acceptsTheLimitsThemselves() throws {
        let simulator = try Simulator(settings())
        #expect(simulator.create(body: String(repeating: "a", count: 1600)).answer.status == 201)
        #expect(simulator.create(to: "+15005550006").answer.status == 201)
        #expect(simulator.create(body: "a\0'; drop table x; --\u{1}").answer.status == 201)
        #expect(simulator.create(more: [("StatusCallback", "nonsense")]).answer.status == 400)
    }

    @Test func wrongCredentialsAreAuthenticate() throws {
        let simulator = try Simulator(settings { ($0.apiKeySID, $0.apiKeySecret) = ("SK1", "s3cret") })
        func status(_ header: String?) -> Int {
            let path = "/2010-04-01/Accounts/\(simulator.settings.accountSID)/Messages.json"
            return simulator.respond(to: Request(method: .get, target: path, authorization: header), at: epoch).answer
                .status
        }
        func basic(_ pair: String) -> String { "Basic " + Base64.encode(Array(pair.utf8)) }
        let sid = simulator.settings.accountSID
        #expect(status(basic("\(sid):simulator-auth-token")) == 200)
        #expect(status(basic("SK1:s3cret")) == 200)
        #expect(status("basic  " + basic("SK1:s3cret").dropFirst(6)) == 200)
        for wrong in [nil, "", "Basic", "Bearer x", basic("\(sid):x"), basic("SK1:simulator-auth-token")] {
            #expect(status(wrong) == 401)
        }
        try simulator.applyFaults(Array("{\"auth_token\": \"new\"}".utf8))
        #expect(status(basic("\(sid):simulator-auth-token")) == 401)
        #expect(status(basic("\(sid):new")) == 200)
        let reply = simulator.send(.get, "/2010-04-01/Accounts/\(sid).json")
        #expect(try json(reply.answer.body)["code"] as? Int == 20003)
        #expect(reply.answer.headers.contains("WWW-Authenticate: Basic"))
    }

    @Test func problemDetailsWhenAskedFor() throws {
        let simulator = try Simulator(settings { $0.errorFormat = .problem })
        let reply = simulator.create(to: "")
        let error = try json(reply.answer.body)
        #expect(reply.answer.content == .problem)
        #expect(Set(error.keys) == ["type", "title", "status", "code"])
        #expect(error["code"] as? Int == 21604)
    }

    @Test func unknownPlacesAndMethods() throws {
        let simulator = try Simulator(settings())
        let base = "/2010-04-01/Accounts/\(simulator.settings.accountSID)"
        #expect(simulator.send(.get, base + "/Recordings.json").answer.status == 404)
        #expect(
            simulator.send(.get, simulator.messagePath("SM" + String(repeating: "0", count: 32))).answer.status == 404)
        #expect(simulator.send(.delete, base + "/Messages.json").answer.status == 405)
        #expect(simulator.send(.get, "/2010-04-01/Accounts/AC1/Messages.json").answer.status == 401)
    }
}
