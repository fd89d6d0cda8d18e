import Testing

@testable import HTTP

@Suite("The head of an answer")
struct AnswerHeadTests {
    private func head(_ lines: [String], collecting: Bool = false) -> AnswerHead {
        var head = AnswerHead()
        for line in lines { head.take(Array((line + "\r\n").utf8).span, collecting: collecting) }
        return head
    }

    @Test("the two headers are found in any case and spacing; others that begin alike are not")
    func headers() {
        let found = head(["HTTP/1.1 429 x", "RETRY-AFTER:5", "twilio-CONCURRENT-requests: \t 17  ", ""])
        #expect(found.retryAfter == 5)
        #expect(found.concurrentRequests == 17)
        let none = head(["HTTP/1.1 200 x", "Retry-Afterwards: 5", "Retry", "T", "R:", "Twilio-Request-Id: 4"])
        #expect(none.retryAfter == nil)
        #expect(none.concurrentRequests == nil)
    }

    @Test("a further status line starts a new head")
    func interim() {
        let found = head(["HTTP/1.1 100 x", "Retry-After: 5", "A: b", "", "HTTP/1.1 201 x", "C: d"], collecting: true)
        #expect(found.retryAfter == nil)
        #expect(found.headers == [.init("c", "d")])
    }

    @Test(
        "Retry-After is a number or a date, from 0 to a day",
        arguments: [
            ("0", 0), ("120", 120), ("000120", 120), ("999999999", 86_400), ("", nil), ("-1", nil), ("+5", nil),
            ("1.5", 2), ("1.0", 1), ("0.001", 1), ("1.", nil), (".5", nil), ("1.2.3", nil), ("1,5", nil),
            ("5, 10", nil),
            ("5s", nil), ("0x10", nil), ("1e3", nil), ("99999999999999999999", 86_400), ("soon", nil),
            ("Thu, 01 Jan 1970 00:16:50 GMT", 10), ("Thu Jan  1 00:16:50 1970", 10),
            ("Friday, 31-Dec-32 23:59:59 GMT", 86_400), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Fri, 31 Dec 2032 23:59:59 GMT", 86_400), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
            ("99:99 nonsense", nil), ("86401", 86_400), ("Thu, 24 Foo 2023 05:01:45 GMT", nil), ("٥", nil),
        ] as [(String, Int?)])
    func retryAfter(text: String, seconds: Int?) {
        let date = "Date: Thu, 01 Jan 1970 00:16:40 GMT"
        #expect(head(["HTTP/1.1 429 x", date, "Retry-After: \(text)"]).retryAfter == seconds)
        #expect(head(["HTTP/1.1 503 x", "retry-after:\(text)  ", date]).retryAfter == seconds)
    }

    /// A clock that is a day wrong would turn the present date into a wait of a day, or into none.
    @Test("a date counts from the answer's own date, and without one from the clock")
    func clocks() {
        let inAMinute = "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"
        #expect(head(["HTTP/1.1 429 x", "Date: Fri, 31 Dec 2100 23:58:59 GMT", inAMinute]).retryAfter == 60)
        #expect(head(["HTTP/1.1 429 x", "Date: garbage", inAMinute]).retryAfter == 86_400)
        #expect(head(["HTTP/1.1 429 x", inAMinute]).retryAfter == 86_400)
        #expect(head(["HTTP/1.1 429 x", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"]).retryAfter == 0)
    }

    @Test("of several the longest counts, and none of an earlier head")
    func several() {
        #expect(head(["HTTP/1.1 429 x", "Retry-After: 5", "Retry-After: 7", "Retry-After: 6"]).retryAfter == 7)
        #expect(head(["HTTP/1.1 429 x", "Retry-After: 5", "Retry-After: nonsense"]).retryAfter == 5)
        let date = "Date: Thu, 01 Jan 1970 00:16:40 GMT"
        #expect(
            head(["HTTP/1.1 429 x", date, "Retry-After: 5", "Retry-After: Thu, 01 Jan 1970 00:17:40 GMT"]).retryAfter
                == 60)
        #expect(head(["HTTP/1.1 429 x", "Retry-After: 5", "", "HTTP/1.1 200 x", ""]).retryAfter == nil)
    }

    @Test("what answered is noted where it is no success")
    func origin() {
        let lines = ["Server: nginx", "VIA: 1.1 squid", "Content-type: text/html", ""]
        let refused = head(["HTTP/1.1 403 Forbidden"] + lines).origin
        #expect(refused == AnswerOrigin(contentType: "text/html", server: "nginx", via: "1.1 squid"))
        #expect(head(["HTTP/1.1 201 Created"] + lines).origin == AnswerOrigin())
        #expect(head(["HTTP/1.1 100 Continue"] + lines + ["HTTP/1.1 201 Created", ""]).origin == AnswerOrigin())
        #expect(head(["HTTP/1.1 100 Continue", "", "HTTP/1.1 403 x"] + lines).origin == refused)
        var reused = head(["HTTP/1.1 403 x"] + lines)
        reused.reset()
        #expect(reused.origin == AnswerOrigin())
        #expect(head(["HTTP/1.1 403 x", "Server: " + String(repeating: "x", count: 900)]).origin.server?.count == 200)
    }
}
