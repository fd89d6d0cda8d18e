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

    @Test("a further status line starts anew")
    func interim() {
        let found = head(["HTTP/1.1 100 x", "Retry-After: 5", "A: b", "", "HTTP/1.1 201 x", "C: d"], collecting: true)
        #expect(found.retryAfter == nil)
        #expect(found.headers == [.init("c", "d")])
    }

    @Test(
        "Retry-After is a number or a date, from 0 to a day",
        arguments: [
            ("0", 0), ("120", 120), ("999999999", 86_400), ("", nil), ("-1", nil), ("+5", nil), ("1.5", nil),
            ("99999999999999999999", nil), ("soon", nil), ("Thu, 01 Jan 1970 00:16:50 GMT", 10),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Fri, 31 Dec 2032 23:59:59 GMT", 86_400), ("99:99 nonsense", nil),
            ("86401", 86_400), ("Thu, 24 Foo 2023 05:01:45 GMT", nil), ("٥", nil),
        ] as [(String, Int?)])
    func retryAfter(text: String, seconds: Int?) {
        #expect(AnswerHead.seconds(Array(text.utf8), wallClock: 1000) == seconds)
    }
}
