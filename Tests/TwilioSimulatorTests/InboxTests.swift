import Foundation
import Testing

@testable import TwilioSimulator

/// One inbox, one reset and one set of counts for all channels.
@Suite struct InboxTests {
    private static let number = "+966501234567"

    private func inbox(_ simulator: Simulator, _ query: String = "") throws -> [[String: Any]] {
        let answer = simulator.send(.get, "/_sim/inbox" + query, at: epoch + 9 * second).answer
        return try json(answer.body)["messages"] as? [[String: Any]] ?? []
    }

    private func stats(_ simulator: Simulator) throws -> [String: Any] {
        try json(simulator.send(.get, "/_sim/stats").answer.body)
    }

    private func mail(_ simulator: Simulator, id: String, at now: Microseconds) {
        let text = "Message-ID: <\(id)@x>\r\nSubject: Code\r\n\r\nYour code is: 771204\r\n"
        simulator.deliver(.init(from: "a@x", to: ["User@Example.com"], content: Array(text.utf8)), at: now)
    }

    /// One entry for each channel, a second apart: SMS, WhatsApp, call, e-mail.
    private func filled() throws -> Simulator {
        let simulator = try Simulator(settings())
        _ = simulator.create(to: Self.number, body: "Your code is: 111111")
        let template = [
            ("ContentSid", "HX00000000000000000000000000000001"), ("ContentVariables", "{\"1\":\"222222\"}"),
        ]
        let whatsApp = simulator.create(
            to: "whatsapp:" + Self.number, from: "whatsapp:" + sender, body: "", more: template, at: epoch + second)
        #expect(whatsApp.answer.status == 201)
        #expect(simulator.call(to: Self.number, at: epoch + 2 * second).answer.status == 201)
        mail(simulator, id: "one", at: epoch + 3 * second)
        return simulator
    }

    @Test func hasAllChannelsNewestFirst() throws {
        let simulator = try filled()
        let all = try inbox(simulator)
        #expect(all.map { $0["channel"] as? String } == ["email", "call", "whatsapp", "sms"])
        #expect(all.map { $0["code"] as? String } == ["771204", "482913", "222222", "111111"])
        #expect(all.map { $0["status"] as? String } == ["received", "completed", "delivered", "delivered"])
        #expect(all[1]["body"] as? String == "4 8 2 9 1 3")
        #expect(all[0]["subject"] as? String == "Code")
        #expect(all[0]["message_id"] as? String == "one@x")
        #expect(all[0]["html"] is NSNull)
        #expect(
            all.map { $0["to"] as? String }
                == ["User@Example.com", Self.number, "whatsapp:" + Self.number, Self.number])
    }

    @Test(arguments: [
        ("?channel=call", ["call"]), ("?channel=sms", ["sms"]), ("?limit=2", ["email", "call"]), ("?limit=0", []),
        ("?to=%2B966501234567", ["call", "whatsapp", "sms"]), ("?to=+966501234567&limit=1", ["call"]),
        ("?to=whatsapp:%2B966501234567", ["whatsapp"]), ("?to=user@example.com", ["email"]),
        ("?to=%2B966501234567&channel=email", []), ("?to=%2B1", []), ("?before=SM1", []), ("?sid=x", []),
    ])
    func filters(query: String, channels: [String]) throws {
        #expect(try inbox(try filled(), query).map { $0["channel"] as? String } == channels)
    }

    @Test func pagesAcrossChannels() throws {
        let simulator = try filled()
        var seen: [String] = []
        var before = ""
        for _ in 0..<5 {
            guard let entry = try inbox(simulator, "?limit=1" + before).first else { break }
            seen.append(entry["channel"] as? String ?? "")
            let sid = entry["sid"] as? String ?? ""
            #expect(try inbox(simulator, "?sid=" + sid).count == 1)
            before = "&before=" + sid
        }
        #expect(seen == ["email", "call", "whatsapp", "sms"])
    }

    @Test func refusesAnUnknownChannel() throws {
        let simulator = try filled()
        #expect(simulator.send(.get, "/_sim/inbox?channel=fax").answer.status == 400)
        #expect(simulator.send(.post, "/_sim/reset?channel=fax").answer.status == 400)
        #expect(try inbox(simulator).count == 4)
    }

    @Test(arguments: Channel.allCases)
    func aResetOfOneChannelLeavesTheOthers(channel: Channel) throws {
        let simulator = try filled()
        #expect(simulator.send(.post, "/_sim/reset?channel=\(channel)").answer.status == 200)
        let others = ["email", "call", "whatsapp", "sms"].filter { $0 != channel.rawValue }
        #expect(try inbox(simulator).map { $0["channel"] as? String } == others)
        let stats = try stats(simulator)
        #expect((stats["created"] as? Int, stats["kept"] as? Int, stats["numbers"] as? Int) == (3, 3, 3))
        let counts = (stats["channels"] as? [String: [String: Int]])?[channel.rawValue]
        #expect((counts?["created"], counts?["kept"]) == (0, 0))
        #expect(simulator.send(.post, "/_sim/reset").answer.status == 200)
        #expect(try inbox(simulator).isEmpty)
    }

    @Test func countsEachChannel() throws {
        let simulator = try filled()
        mail(simulator, id: "one", at: epoch + 4 * second)
        mail(simulator, id: "two", at: epoch + 5 * second)
        _ = simulator.create(to: Self.number, body: "")
        let stats = try stats(simulator)
        let channels = try #require(stats["channels"] as? [String: [String: Int]])
        #expect(
            channels["sms"]?["creates"] == 2 && channels["sms"]?["created"] == 1 && channels["sms"]?["refused"] == 1)
        #expect(channels["whatsapp"]?["created"] == 1 && channels["call"]?["created"] == 1)
        #expect(channels["email"]?["created"] == 3 && channels["email"]?["numbers"] == 1)
        #expect(channels["email"]?["message_ids"] == 2 && channels["email"]?["message_ids_repeated"] == 1)
        #expect((stats["created"] as? Int, stats["kept"] as? Int, stats["numbers_repeated"] as? Int) == (6, 6, 1))
        let byTo = [
            Self.number: 1, "whatsapp:" + Self.number: 1, "call:" + Self.number: 1, "user@example.com": 3,
        ]
        #expect(stats["by_to"] as? [String: Int] == byTo)
    }

    @Test func aShelfKeepsTheNewest() {
        var shelf = Shelf<Int>(capacity: 3)
        for number in 0..<20 { shelf.add(number) }
        #expect((3...6).contains(shelf.count))
        #expect(shelf.next == 20 && shelf[19] == 19 && shelf[20] == nil && shelf[0] == nil && shelf[-1] == nil)
        var seen: [Int] = []
        shelf.walk {
            seen.append($0)
            return seen.count < 3
        }
        #expect(seen == [19, 18, 17])
        shelf.removeAll()
        #expect(shelf.count == 0 && shelf.next == 20 && shelf[19] == nil)
        shelf.add(7)
        #expect(shelf[20] == 7)
    }
}
