import Foundation
import Testing

@testable import TwilioSimulator

@Suite struct ListTests {
    /// Seven messages a second apart, the even ones to another number; newest first.
    private func filled() throws -> (Simulator, [String]) {
        let simulator = try Simulator(settings())
        var sids: [String] = []
        for number in 0..<7 {
            let to = number % 2 == 0 ? "+966500000000" : "+966511111111"
            sids.insert(try simulator.createdSID(to: to, at: epoch + Int64(number) * second), at: 0)
        }
        return (simulator, sids)
    }

    private let later = epoch + 100 * second

    @Test func newestFirst() throws {
        let (simulator, sids) = try filled()
        let list = try simulator.list("", at: later)
        #expect(simulator.sids(of: list) == sids)
        #expect(list["page_size"] as? Int == 50)
        #expect(list["next_page_uri"] is NSNull)
        #expect(list["previous_page_uri"] is NSNull)
        #expect((list["start"] as? Int, list["end"] as? Int) == (0, 6))
    }

    @Test func filtersByNumberAndSender() throws {
        let (simulator, sids) = try filled()
        let even = try simulator.list("To=%2B966500000000", at: later)
        #expect(simulator.sids(of: even) == [sids[0], sids[2], sids[4], sids[6]])
        #expect(try simulator.sids(of: simulator.list("To=%2B966599999999", at: later)) == [])
        #expect(try simulator.sids(of: simulator.list("From=%2B1", at: later)) == [])
        #expect(try simulator.sids(of: simulator.list("From=%2B15005550006&To=", at: later)) == sids)
    }

    @Test func followsPagesBothWays() throws {
        let (simulator, sids) = try filled()
        var seen: [[String]] = []
        var pages: [[String: Any]] = []
        var uri: String? = simulator.listPath + "?PageSize=3&To="
        while let next = uri {
            let page = try json(simulator.send(.get, next, at: later).answer.body)
            seen.append(simulator.sids(of: page))
            pages.append(page)
            uri = page["next_page_uri"] as? String
        }
        #expect(seen == [Array(sids[0..<3]), Array(sids[3..<6]), [sids[6]]])
        #expect(pages.map { $0["page"] as? Int } == [0, 1, 2])
        let back = try #require(pages[2]["previous_page_uri"] as? String)
        let previous = try json(simulator.send(.get, back, at: later).answer.body)
        #expect(simulator.sids(of: previous) == Array(sids[3..<6]))
        let first = try json(
            simulator.send(.get, try #require(previous["previous_page_uri"] as? String), at: later).answer.body)
        #expect(simulator.sids(of: first) == Array(sids[0..<3]))
        #expect(first["previous_page_uri"] is NSNull)
    }

    @Test func aPageIsNotShiftedByNewMessages() throws {
        let (simulator, sids) = try filled()
        let page = try simulator.list("PageSize=3", at: later)
        _ = try simulator.createdSID(at: later)
        let next = try #require(page["next_page_uri"] as? String)
        #expect(try simulator.sids(of: json(simulator.send(.get, next, at: later).answer.body)) == Array(sids[3..<6]))
    }

    @Test func filtersSurviveInTheNextPage() throws {
        let (simulator, _) = try filled()
        let page = try simulator.list("To=%2B966500000000&DateSent%3E=2023-11-14&PageSize=1", at: later)
        let next = try #require(page["next_page_uri"] as? String)
        #expect(next.contains("?To=%2B966500000000&DateSent%3E=2023-11-14&PageSize=1&Page=1&PageToken=PASM"))
    }

    @Test func datesFilterWhatWasSent() throws {
        let (simulator, sids) = try filled()
        func list(_ query: String, at now: Microseconds? = nil) throws -> [String] {
            try simulator.sids(of: simulator.list(query, at: now ?? later))
        }
        #expect(try list("DateSent=2023-11-14") == sids)
        #expect(try list("DateSent=2023-11-13") == [])
        #expect(try list("DateSent%3E=2023-11-14T22:13:24Z") == Array(sids[0..<3]))
        #expect(try list("DateSent%3C=2023-11-14T22:13:21Z") == Array(sids[5...]))
        #expect(try list("DateSent%3E=2023-11-15&DateSent%3C=2023-11-13") == [])
        // The newest has no date_sent yet. Such messages only appear without the filter.
        let early = epoch + 6 * second + 100_000
        #expect(try list("DateSent=2023-11-14", at: early) == Array(sids[1...]))
        #expect(try list("", at: early) == sids)
    }

    @Test func aLaggingListHidesTheYoungest() throws {
        let (simulator, sids) = try filled()
        try simulator.applyFaults(Array("{\"list_lag_ms\": 2000}".utf8))
        #expect(try simulator.sids(of: simulator.list("", at: epoch + 6 * second)) == Array(sids[2...]))
        #expect(try simulator.sids(of: simulator.list("", at: epoch + 8 * second)) == sids)
    }

    @Test(arguments: ["DateSent=yesterday", "PageSize=0", "PageSize=x", "Page=-1", "PageToken=x", "PageToken=PASM0"])
    func refusesWhatItCannotRead(query: String) throws {
        let (simulator, _) = try filled()
        #expect(try simulator.list(query, at: later)["status"] as? Int == 400)
    }

    @Test func absolutePagesSkip() throws {
        let (simulator, sids) = try filled()
        #expect(try simulator.sids(of: simulator.list("PageSize=3&Page=2", at: later)) == [sids[6]])
        #expect(try simulator.list("PageSize=9999", at: later)["page_size"] as? Int == 1000)
    }
}

extension Simulator {
    var listPath: String { "/2010-04-01/Accounts/\(settings.accountSID)/Messages.json" }
}

@Suite struct StoreTests {
    private func draft(_ to: String) -> MessageStore.Draft {
        MessageStore.Draft(
            to: Array(to.utf8), from: Array("f".utf8), service: [], body: Array("b\(to)".utf8), segments: 1,
            outcome: .delivered, errorCode: 0)
    }

    @Test func keepsTheNewestAndForgetsTheIndexOfTheRest() {
        let store = MessageStore(capacity: 2 * MessageStore.chunkSize)
        _ = store.add(draft("+1"), at: 0)
        for number in 0..<4 * MessageStore.chunkSize { _ = store.add(draft("+966\(number % 5)"), at: Int64(number)) }
        #expect(store.next - store.first <= 3 * MessageStore.chunkSize)
        #expect(store.next - store.first >= 2 * MessageStore.chunkSize)
        #expect(store.message(0) == nil)
        #expect(store.message(store.first) != nil)
        #expect(store.index.count == 5)
        #expect(store.index.values.map(\.count).reduce(0, +) == store.next - store.first)
        var walked = 0
        store.walk(to: Array("+9663".utf8)) { message in
            walked += 1
            return message.body.elementsEqual("b+9663".utf8)
        }
        #expect(walked == store.index[MessageStore.key(Array("+9663".utf8))]?.count)
    }

    @Test func keysTellNumbersApart() {
        let keys = ["+1", "+01", "+001", "1", "+12", "whatsapp:+1", "", "+"].map { MessageStore.key(Array($0.utf8)) }
        #expect(Set(keys).count == keys.count)
    }

    @Test func resetForgetsAndOldSIDsStayUnknown() throws {
        let simulator = try Simulator(settings())
        let sid = try simulator.createdSID()
        try simulator.reset()
        #expect(simulator.store.message(0) == nil)
        #expect(try simulator.createdSID() != sid)
        #expect(try simulator.fetch(sid)["code"] as? Int == 20404)
    }
}
