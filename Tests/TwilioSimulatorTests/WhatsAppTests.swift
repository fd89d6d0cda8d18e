import Foundation
import Testing

@testable import TwilioSimulator

@Suite struct WhatsAppTests {
    private static let to = "whatsapp:+966501234567"
    private static let from = "whatsapp:+15005550006"
    private static let template = "HX00000000000000000000000000000001"
    private static let body = "482913 is your verification code. For your security, do not share this code."

    private func send(
        _ simulator: Simulator, to: String = to, from: String = from, sid: String = template,
        variables: String? = "{\"1\":\"482913\"}", more: [(String, String)] = []
    ) -> Reply {
        let fields = [("ContentSid", sid)] + (variables.map { [("ContentVariables", $0)] } ?? [])
        return simulator.create(to: to, from: from, body: "", more: fields + more)
    }

    private func ended(_ simulator: Simulator, _ reply: Reply) throws -> [String: Any] {
        let sid = try #require(try json(reply.answer.body)["sid"] as? String)
        return try simulator.fetch(sid, at: epoch + 9 * second)
    }

    @Test func aTemplateIsRendered() throws {
        let simulator = try Simulator(settings())
        let created = try json(send(simulator).answer.body)
        #expect(created["body"] as? String == Self.body)
        #expect((created["to"] as? String, created["from"] as? String) == (Self.to, Self.from))
        let listed = try simulator.list("To=whatsapp%3A%2B966501234567")["messages"] as? [[String: Any]]
        #expect(listed?.map { $0["body"] as? String } == [Self.body])
        #expect(try simulator.sids(of: simulator.list("To=%2B966501234567")) == [])
        let sent = try simulator.fetch(try #require(created["sid"] as? String), at: epoch + 9 * second)
        #expect((sent["status"] as? String, sent["price"] as? String) == ("delivered", "-0.00500"))
    }

    @Test(arguments: [
        ("HX0000000000000000000000000000000f", "{}", 21655), ("HX1", "{}", 21655), (template, "{", 21656),
        (template, "[]", 21656), (template, "\"1\"", 21656), (template, "{\"1\":null}", 21656),
        (template, "{\"1\":1}", 21656), (template, "{\"1\":\"\"}", 21656), (template, "{\"1\":\"a\\nb\"}", 21656),
        (template, "{\"1\":\"a\\tb\"}", 21656), (template, "{\"1\":\"a     b\"}", 21656), (template, "", 21656),
        (template, "{\"1\":\"\(String(repeating: "a", count: 1601))\"}", 21658),
    ])
    func refusesBadTemplates(sid: String, variables: String, code: Int) throws {
        let simulator = try Simulator(settings())
        let reply = send(simulator, sid: sid, variables: variables)
        #expect(reply.answer.status == 400)
        #expect(try json(reply.answer.body)["code"] as? Int == code)
        #expect(simulator.statistics[.whatsapp].refused == 1)
        #expect(simulator.statistics[.whatsapp].created == 0)
    }

    @Test(arguments: [
        ("whatsapp:0501", from, 21211), ("whatsapp:", from, 21211), (to, "+15005550006", 21910),
        ("+966501234567", from, 21910), (to, "whatsapp:Mgask", 63007), (to, "whatsapp:+15005550007", 63007),
        (to, "whatsapp:+15005550001", 21212), (to, "", 21603), ("whatsapp:+966590021610", from, 21610),
    ])
    func refusesBadAddresses(to: String, from: String, code: Int) throws {
        let reply = send(try Simulator(settings()), to: to, from: from)
        #expect(try json(reply.answer.body)["code"] as? Int == code)
        #expect(reply.answer.status == 400)
    }

    @Test func anIncompleteTemplateIsNotDelivered() throws {
        let simulator = try Simulator(settings())
        for variables in ["{}", "{\"2\":\"x\"}", nil] {
            let message = try ended(simulator, send(simulator, variables: variables))
            #expect((message["status"] as? String, message["error_code"] as? Int) == ("undelivered", 63028))
        }
        // SMS has no such rule.
        let sms = send(simulator, to: "+966501234567", from: sender, variables: "{}")
        #expect(try ended(simulator, sms)["status"] as? String == "delivered")
    }

    @Test func aTextWithoutTemplateNeedsTheWindow() throws {
        let simulator = try Simulator(settings())
        let outside = simulator.create(to: Self.to, from: Self.from)
        #expect(try ended(simulator, outside)["error_code"] as? Int == 63016)
        try simulator.applyFaults(Array("{\"whatsapp_window\": true}".utf8))
        let inside = simulator.create(to: Self.to, from: Self.from)
        #expect(try ended(simulator, inside)["status"] as? String == "delivered")
    }

    @Test func magicNumbersForOneChannelAlone() throws {
        let simulator = try Simulator(settings())
        let without = try ended(simulator, send(simulator, to: "whatsapp:+966590363024"))
        #expect((without["status"] as? String, without["error_code"] as? Int) == ("undelivered", 63024))
        let read = try ended(simulator, send(simulator, to: "whatsapp:+966590300000"))
        #expect(read["status"] as? String == "read")
        for number in ["+966590363024", "+966590300000"] {
            #expect(try ended(simulator, simulator.create(to: number))["status"] as? String == "delivered")
        }
        let dead = try ended(simulator, simulator.create(to: "+966590530003"))
        #expect(dead["error_code"] as? Int == 30003)
        let landline = simulator.create(to: "+966590621614").answer
        #expect(try json(landline.body)["code"] as? Int == 21614)
        for number in ["+966590530003", "+966590621614"] {
            let message = try ended(simulator, send(simulator, to: "whatsapp:" + number))
            #expect(message["status"] as? String == "delivered", "\(number)")
        }
    }

    @Test func aServiceSendsFromItsWhatsAppSender() throws {
        let simulator = try Simulator(settings())
        let service = "MG" + String(repeating: "a", count: 32)
        let reply = send(simulator, from: "", more: [("MessagingServiceSid", service)])
        #expect(try ended(simulator, reply)["from"] as? String == Self.from)
    }

    @Test func callbacksNameTheChannel() throws {
        let simulator = try Simulator(settings())
        let callback = [("StatusCallback", "http://127.0.0.1:9/cb")]
        let reply = send(simulator, to: "whatsapp:+966590300000", more: callback)
        #expect(reply.callbacks.map(\.callback.status) == ["sending", "sent", "delivered", "read"])
        let last = Dictionary(uniqueKeysWithValues: try #require(reply.callbacks.last).callback.parameters)
        #expect(last["ChannelPrefix"] == "whatsapp")
        #expect(last["ChannelToAddress"] == "+966590300000")
        #expect((last["To"], last["EventType"]) == ("whatsapp:+966590300000", "READ"))
        let sms = try #require(simulator.create(more: callback).callbacks.last).callback.parameters
        #expect(!sms.contains { $0.name == "ChannelPrefix" })
    }

    @Test(arguments: [
        ("HX000000000000000000000000000000aa=Code {{1}} for {{app}}", true), ("HX1=x", false), ("HX", false),
        ("", false), ("HX000000000000000000000000000000aa=", false), ("HX0000000000000000000000000000000g=x", false),
    ])
    func templatesOfTheCommandLine(option: String, isTaken: Bool) throws {
        var templates = ContentTemplates.standard
        let wasTaken = templates.add(option)
        #expect(wasTaken == isTaken)
        guard isTaken else { return }
        let rendered = try templates.render(
            "HX000000000000000000000000000000aa", variables: Array("{\"1\":\"7\",\"app\":\"M\"}".utf8))
        #expect(rendered == .init(text: "Code 7 for M", isIncomplete: false))
    }

    @Test func aBrokenPlaceholderStands() throws {
        var templates = ContentTemplates.standard
        let wasTaken = templates.add("HX000000000000000000000000000000aa=a {{1 b {{2}}")
        #expect(wasTaken)
        let rendered = try templates.render(
            "HX000000000000000000000000000000aa", variables: Array("{\"2\":\"x\"}".utf8))
        #expect(rendered.text == "a {{1 b x")
    }
}
