import EventLoop
import OTP
import TestSupport
import Testing

@testable import Tracing

@Suite struct TracerTests {
    private static let caller = TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")!
    private static let unsampled = TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")!
    private static let content = Span.Content.send(
        Span.Send(
            job: Span.Job(id: 7, attempt: 1, channel: .sms, country: "SA"), follows: nil, outcome: "accepted", wait: 5))

    /// Runs `body` with a tracer on a loop, and returns the spans that it made.
    private static func spans(
        _ sampler: Sampler = .standard, _ body: @escaping @Sendable (Tracer) -> Void
    ) async throws -> [Span] {
        let loop = try EventLoop.start(name: "traces")
        defer { loop.stop() }
        return await Task(executorPreference: loop) {
            let tracer = Tracer(sampler, on: loop, random: SeededGenerator(1))
            body(tracer)
            return tracer.withQueue { queue in
                queue.drain()
                if case .export(let spans) = queue.next(at: .now()) { return spans }
                return []
            }
        }.value
    }

    @Test("a child continues the caller's trace, and its parts belong to it")
    func child() async throws {
        let spans = try await Self.spans { tracer in
            let now = Instant.now()
            let span = tracer.record(Self.content, .child(of: Self.caller), began: now - .seconds(1), ended: now)!
            tracer.record(
                .request(Span.Exchange(channel: .sms, status: 201, error: nil, resends: 0)), within: span, began: now,
                ended: now)
        }
        #expect(spans.map(\.context.traceID) == [Self.caller.traceID, Self.caller.traceID])
        #expect(spans[0].parent == .init(spanID: Self.caller.spanID, isRemote: true) && spans[0].link == nil)
        #expect(spans[1].parent == .init(spanID: spans[0].context.spanID, isRemote: false))
        #expect(spans[0].ended - spans[0].began == 1_000_000_000)
        #expect(Set(spans.map(\.context.spanID)).count == 2)
    }

    @Test("a linked span begins a trace of its own, also where there is no caller")
    func linked() async throws {
        let spans = try await Self.spans { tracer in
            for caller in [Self.caller, nil] {
                tracer.record(Self.content, .linked(to: caller), began: .now(), ended: .now())
            }
            tracer.record(Self.content, .child(of: nil), began: .now(), ended: .now())
        }
        #expect(spans.map(\.link) == [Self.caller, nil, nil])
        #expect(spans.allSatisfy { $0.parent == nil })
        #expect(Set(spans.map(\.context.traceID) + [Self.caller.traceID]).count == 4)
    }

    @Test("what the caller does not record is not recorded, nor what follows")
    func notSampled() async throws {
        let spans = try await Self.spans { tracer in
            for origin in [Tracer.Origin.child(of: Self.unsampled), .linked(to: Self.unsampled)] {
                #expect(tracer.record(Self.content, origin, began: .now(), ended: .now()) == nil)
            }
        }
        #expect(spans.isEmpty)
    }
}

@Suite struct SpanEncoderTests {
    private static let encoder = SpanEncoder(
        serviceName: #"otpd "web"\"# + "\n", version: "1.2", host: "a",
        twilio: .init(origin: "https://api.twilio.com", host: "api.twilio.com", port: 443))

    private static func text(_ content: Span.Content, link: TraceContext? = nil) -> String {
        let context = TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")!
        let span = Span(
            context: context, parent: link == nil ? .init(spanID: SpanID(255)!, isRemote: true) : nil, link: link,
            began: 1_700_000_000_000_000_001, ended: 1_700_000_000_000_000_002, content: content)
        return String(decoding: encoder.body([span, span]), as: UTF8.self)
    }

    private static let job = Span.Job(id: 7, attempt: 2, channel: .whatsapp, country: "SA")

    @Test("identifiers are hexadecimal, numbers of 64 bits are texts, and texts are escaped")
    func forms() {
        let text = Self.text(
            .send(Span.Send(job: Self.job, follows: 6, outcome: "failed", error: "63016", wait: 1_500_000_000)))
        for part in [
            #""stringValue":"otpd \"web\"\\\u000a""#, #""traceId":"0af7651916cd43dd8448eb211c80319c""#,
            #""parentSpanId":"00000000000000ff","flags":769"#, #""startTimeUnixNano":"1700000000000000001""#,
            #""name":"send whatsapp","kind":3"#, #"{"key":"otpd.send_job_id","value":{"intValue":"7"}}"#,
            #"{"key":"error.type","value":{"stringValue":"63016"}}"#, #""status":{"code":2}"#,
            #"{"key":"otpd.queue_seconds","value":{"doubleValue":1.5}}"#,
        ] { #expect(text.contains(part), "\(part) in \(text)") }
        #expect(!text.contains("links"))
    }

    @Test("a link names the caller's span")
    func link() {
        let caller = TraceContext(traceparent: "00-11111111111111111111111111111111-2222222222222222-01")!
        let text = Self.text(.lookup(Span.Lookup(job: Self.job, outcome: "resend")), link: caller)
        #expect(
            text.contains(
                #""links":[{"traceId":"11111111111111111111111111111111","spanId":"2222222222222222","flags":769}]"#))
        #expect(!text.contains("parentSpanId"))
    }

    @Test("a request names no account")
    func request() {
        let text = Self.text(.request(Span.Exchange(channel: .call, status: 429, error: nil, resends: 1)))
        #expect(text.contains("https://api.twilio.com/2010-04-01/Accounts/REDACTED/Calls.json"))
        #expect(text.contains(#"{"key":"http.request.resend_count","value":{"intValue":"1"}}"#))
        #expect(text.contains(#"{"key":"error.type","value":{"stringValue":"429"}}"#))
    }
}
