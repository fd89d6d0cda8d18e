import OTP
import Testing

@testable import Twilio

struct CallResourceTests {
    static let sid = "CA0123456789abcdef0123456789abcdef"

    /// A call right after its creation, as Twilio answers.
    static let created = """
        {"date_updated": null, "price_unit": "USD", "parent_call_sid": null, "caller_name": null, "duration": null,
        "from": "+15005550006", "to": "+966501234567", "annotation": null, "answered_by": null, "sid": "\(sid)",
        "queue_time": "0", "price": null, "api_version": "2010-04-01", "status": "queued", "direction": "outbound-api",
        "start_time": null, "date_created": null, "forwarded_from": null, "group_sid": null, "trunk_sid": "",
        "account_sid": "AC0123456789abcdef0123456789abcdef", "end_time": null,
        "subresource_uris": {"sid": "SM0123456789abcdef0123456789abcdef", "to": "+1"}}
        """

    @Test func resource() throws {
        let json = """
            {"sid": "\(Self.sid)", "status": "completed", "price": "-0.03000", "price_unit": "USD", "duration": "27",
            "from": "+15005550006", "to": "+966501234567", "direction": "outbound-api", "brand_new": [1],
            "date_created": "Tue, 14 Nov 2023 22:13:20 +0000", "start_time": "Tue, 14 Nov 2023 22:13:25 +0000"}
            """
        let call = try CallResource(json: json.utf8.span)
        #expect(call.status == .completed && call.price == "-0.03000" && call.priceUnit == "USD")
        #expect(call.duration == 27 && call.sender == "+15005550006" && call.direction == "outbound-api")
        #expect(call.createdAt == 1_700_000_000 && call.startedAt == 1_700_000_005)
        var dumped = ""
        dump([call], to: &dumped)
        let printed = "\(call) \(String(reflecting: call)) \(dumped)"
        #expect(!printed.contains("501234567") && printed.contains(Self.sid) && printed.contains("completed"))
    }

    @Test func atFirst() throws {
        let call = try CallResource(json: Self.created.utf8.span)
        #expect(call.status == .queued && call.price == nil && call.duration == nil)
        #expect(call.createdAt == nil && call.startedAt == nil)
        let bad = [
            "", "{}", "[]", "<html>", "{\"sid\":\"\(Self.sid)\"}", "{\"sid\":\"x\",\"status\":\"queued\"}",
            // A message is not a call.
            "{\"sid\":\"SM\(Self.sid.dropFirst(2))\",\"status\":\"queued\"}",
        ]
        for bad in bad {
            #expect(throws: CallResource.Problem.notCall) { try CallResource(json: bad.utf8.span) }
        }
        #expect(throws: MessageResource.Problem.notMessage) { try MessageResource(json: Self.created.utf8.span) }
    }

    @Test func pages() throws {
        let next = "/2010-04-01/Accounts/\(ScanTests.account)/Calls.json?PageSize=2&Page=1&PageToken=PACA1"
        let page = try CallPage(
            json: "{\"calls\":[\(Self.created)],\"next_page_uri\":\"\(next)\",\"page\":0}".utf8.span)
        #expect(page.calls.count == 1 && page.nextPage == next)
        for bad in [
            "{}", "{\"calls\":[{}]}", "{\"messages\":[]}", "{\"calls\":[\(ScanTests.created)]}",
            "{\"calls\":[],\"next_page_uri\":\"https://evil.example/2010-04-01/\"}",
            "{\"calls\":[],\"next_page_uri\":\"/2010-04-01/ x\"}",
        ] {
            #expect(throws: CallResource.Problem.notPage) { try CallPage(json: bad.utf8.span) }
        }
    }

    /// Which statuses end a call: the words of Twilio's API description.
    @Test func finalStatuses() {
        let words = [
            "queued", "initiated", "ringing", "in-progress", "canceled", "completed", "failed", "busy", "no-answer",
        ]
        #expect(
            words.filter { MessageStatus.finalOfCalls.contains(MessageStatus(rawValue: $0)) }
                == ["canceled", "completed", "failed", "busy", "no-answer"])
        #expect([MessageStatus.initiated, .ringing, .inProgress].map(\.rawValue) == Array(words[1...3]))
    }
}

struct CallSearchTests {
    static let since = MessageSearchTests.since

    static func call(
        _ serial: Int, to: String? = "+966501234567", from: String? = "+15005550006",
        at date: String? = MessageSearchTests.now, direction: String? = "outbound-api", status: String = "queued"
    ) -> String {
        func json(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "null" }
        return """
            {"sid": "CA\(String(repeating: "0", count: 30))0\(serial)", "status": "\(status)", "to": \(json(to)),
            "from": \(json(from)), "date_created": \(json(date)), "direction": \(json(direction))}
            """
    }

    static func page(_ calls: [String], next: Bool = false) throws -> CallPage {
        let uri = next ? "\"/2010-04-01/Accounts/AC0/Calls.json?Page=1\"" : "null"
        return try CallPage(
            json: Array("{\"calls\": [\(calls.joined(separator: ","))], \"next_page_uri\": \(uri)}".utf8).span)
    }

    func search() -> CallSearch {
        CallSearch(
            to: MessageSearchTests.number, from: CreateCallTests.sender, since: Self.since, until: Self.since + 10)
    }

    func ends(_ sids: [MessageSID]) -> [String] { sids.map { String($0.description.suffix(2)) } }

    @Test func aCallOfTheAttemptMatches() throws {
        var search = search()
        let more = search.read(
            try Self.page([
                Self.call(1), Self.call(2, to: "+966509999999"), Self.call(3, from: "+15005550007"),
                Self.call(4, direction: "inbound"), Self.call(5, direction: "outbound-dial"),
                // Whatever became of it: a busy line was called too.
                Self.call(6, direction: nil, status: "busy"),
            ]))
        #expect(!more && search.hidden.isEmpty)
        #expect(ends(search.matches.map(\.sid)) == ["01", "06"] && search.matches[1].status == .busy)
    }

    /// Calls of other attempts to the same number lie before or after the window. Clocks may differ a little.
    @Test(
        arguments: [
            ("22:11:20", true), ("22:11:19", false), ("22:13:20", true), ("22:15:30", true), ("22:15:31", false),
        ])
    func theDateTellsCallsApart(_ time: String, _ isOurs: Bool) throws {
        var search = search()
        _ = search.read(try Self.page([Self.call(1, at: "Tue, 14 Nov 2023 \(time) +0000")]))
        #expect(search.matches.count == (isOurs ? 1 : 0) && search.hidden.isEmpty)
    }

    /// What Twilio does not show proves no absence.
    @Test func anIncompleteEntryIsHidden() throws {
        var search = search()
        _ = search.read(
            try Self.page([
                Self.call(1, at: nil), Self.call(2, at: "soon"), Self.call(3, to: nil), Self.call(4, from: nil),
                Self.call(5, to: "+966509999999", at: nil),
            ]))
        #expect(search.matches.isEmpty && ends(search.hidden) == ["01", "02", "03", "04"])
    }

    /// The list is sorted by the start, so one old call among newer ones does not end the search.
    @Test func pagesAreReadUntilAllAreOld() throws {
        var search = search()
        let old = "Tue, 14 Nov 2023 21:00:00 +0000"
        #expect(search.read(try Self.page([Self.call(1, at: old), Self.call(2, at: "later")], next: true)))
        #expect(search.read(try Self.page([Self.call(3, at: old), Self.call(4)], next: true)))
        #expect(!search.read(try Self.page([Self.call(5, at: old), Self.call(6, at: old)], next: true)))
        #expect(search.read(try Self.page([], next: true)))
        #expect(!search.read(try Self.page([], next: false)))
        #expect(ends(search.matches.map(\.sid)) == ["04"])
    }
}
