import EventLoop
import OTP
import Testing

@testable import Tracing

@Suite struct SpanQueueTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    private static func span(_ number: UInt64 = 1) -> Span {
        Span(
            context: TraceContext(traceID: TraceID(high: 0, low: number)!, spanID: SpanID(number)!, isSampled: true),
            parent: nil, link: nil, began: 1, ended: 2,
            content: .request(Span.Exchange(channel: .sms, status: 201, error: nil, resends: 0)))
    }

    private static func queue(_ spans: Int, change: (inout ExportLimits) -> Void = { _ in }) -> SpanQueue {
        var limits = ExportLimits()
        (limits.waiting, limits.batch) = (4, 2)
        change(&limits)
        var queue = SpanQueue(limits)
        for number in 0..<spans { _ = queue.add(span(UInt64(number + 1)), at: start) }
        return queue
    }

    private static func count(_ step: SpanQueue.Step) -> Int? {
        if case .export(let spans) = step { spans.count } else { nil }
    }

    @Test("a span waits for others for the interval, a full batch for nothing")
    func waits() {
        var one = Self.queue(1)
        #expect(one.next(at: Self.start) == .wait(until: Self.start + .seconds(5)))
        #expect(Self.count(one.next(at: Self.start + .seconds(5))) == 1)
        var three = Self.queue(3)
        #expect(Self.count(three.next(at: Self.start)) == 2)
        three.answered(.taken(rejected: 0), at: Self.start, jitter: 0)
        #expect(three.next(at: Self.start) == .wait(until: Self.start + .seconds(5)))
        var none = Self.queue(0)
        #expect(none.next(at: Self.start) == .wait(until: nil))
    }

    @Test("the exporter is woken for the first span and for a full batch alone")
    func wakes() {
        var queue = Self.queue(0)
        #expect((1...4).map { queue.add(Self.span($0), at: Self.start) } == [true, true, false, false])
    }

    @Test("beyond the limit spans are dropped and counted")
    func drops() {
        let queue = Self.queue(7)
        #expect(queue.counts.dropped == 3 && queue.counts.exported == 0)
    }

    @Test("a batch is tried again after waits that double, or that the collector asks for, and then given up")
    func triesAgain() {
        var queue = Self.queue(2) { $0.tries = 3 }
        var now = Self.start
        #expect(Self.count(queue.next(at: now)) == 2)
        queue.answered(.tryAgain(after: nil), at: now, jitter: 1)
        #expect(queue.next(at: now) == .wait(until: now + .seconds(1)))
        now = now + .seconds(1)
        #expect(Self.count(queue.next(at: now)) == 2)
        queue.answered(.tryAgain(after: .seconds(30)), at: now, jitter: 1)
        #expect(queue.next(at: now) == .wait(until: now + .seconds(30)))
        now = now + .seconds(30)
        #expect(Self.count(queue.next(at: now)) == 2)
        queue.answered(.tryAgain(after: nil), at: now, jitter: 1)
        #expect(queue.isEmpty && queue.counts.failed == 2 && queue.counts.exported == 0)
    }

    @Test("no collector makes it wait for longer than a minute")
    func longestWait() {
        var queue = Self.queue(2)
        _ = queue.next(at: Self.start)
        queue.answered(.tryAgain(after: .seconds(86_400)), at: Self.start, jitter: 0)
        #expect(queue.next(at: Self.start) == .wait(until: Self.start + .seconds(60)))
    }

    @Test("what is refused is not tried again; what is taken in part counts as both")
    func refused() {
        var queue = Self.queue(4)
        _ = queue.next(at: Self.start)
        queue.answered(.refused, at: Self.start, jitter: 0)
        #expect(queue.counts.failed == 2)
        _ = queue.next(at: Self.start)
        queue.answered(.taken(rejected: 1), at: Self.start, jitter: 0)
        #expect(queue.counts.failed == 3 && queue.counts.exported == 1 && queue.isEmpty)
    }

    @Test("a drain waits neither for more spans nor for another try")
    func drains() {
        var queue = Self.queue(3)
        _ = queue.next(at: Self.start)
        queue.answered(.tryAgain(after: .seconds(30)), at: Self.start, jitter: 0)
        queue.drain()
        #expect(Self.count(queue.next(at: Self.start)) == 2)
        queue.answered(.tryAgain(after: nil), at: Self.start, jitter: 0)
        #expect(queue.counts.failed == 2)
        #expect(Self.count(queue.next(at: Self.start)) == 1)
        queue.answered(.taken(rejected: 0), at: Self.start, jitter: 0)
        #expect(queue.isEmpty && queue.counts.exported == 1)
    }

    @Test("what cannot leave in time counts as failed")
    func abandons() {
        var queue = Self.queue(3)
        _ = queue.next(at: Self.start)
        queue.abandon()
        #expect(queue.isEmpty && queue.counts.failed == 3)
    }
}

@Suite struct ExportAnswerTests {
    @Test("only 429, 502, 503 and 504 ask for another try")
    func statuses() {
        for status in 200..<600 {
            let answer = ExportAnswer(status: status, body: [], retryAfter: .seconds(3))
            switch status {
            case 200..<300: #expect(answer == .taken(rejected: 0))
            case 429, 502, 503, 504: #expect(answer == .tryAgain(after: .seconds(3)))
            default: #expect(answer == .refused)
            }
        }
    }

    @Test(
        "a partial success names the spans that were refused",
        arguments: [
            ("", 0), ("{}", 0), (#"{"partialSuccess":{}}"#, 0), (#"{"partialSuccess":{"rejectedSpans":"3"}}"#, 3),
            (#"{"partialSuccess": {"rejectedSpans": 12, "errorMessage": "45"}}"#, 12),
            (#"{"partialSuccess":{"rejectedSpans":null,"errorMessage":"4"}}"#, 0),
        ])
    func partial(body: String, rejected: Int64) {
        #expect(ExportAnswer(status: 200, body: Array(body.utf8), retryAfter: nil) == .taken(rejected: rejected))
    }
}

@Suite struct OTLPHeadersTests {
    @Test("pairs with commas between them, percent-decoded")
    func reads() throws {
        let headers = try OTLPHeaders("api-key = a%20b%3D, x=1;p=2,,Authorization=Basic%20QQ==")
        #expect(headers.list.map(\.name) == ["api-key", "x", "Authorization"])
        #expect(headers.list.map(\.value) == ["a b=", "1", "Basic QQ=="])
    }

    @Test(
        "anything else is refused, and its value is not shown",
        arguments: [
            "secretsecret", "=secretsecret", "a b=secretsecret", "a=", "a=secretsecret%", "a=secretsecret%0a", "a=%zz",
        ])
    func refuses(text: String) {
        #expect { try OTLPHeaders(text) } throws: { !"\($0)".contains("secretsecret") }
    }
}
