import Testing

@testable import Tracing

@Suite struct TraceContextTests {
    private static let example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("a traceparent of version 00 is read, and written in the same form")
    func reads() throws {
        let context = try #require(TraceContext(traceparent: Self.example))
        #expect("\(context.traceID)" == "0af7651916cd43dd8448eb211c80319c")
        #expect("\(context.spanID)" == "b7ad6b7169203331")
        #expect(context.isSampled)
        #expect(context.traceparent == Self.example)
        #expect(TraceContext(traceparent: Self.example.dropLast(2) + "00")?.isSampled == false)
        #expect(TraceContext(traceparent: Self.example.dropLast(2) + "03")?.isSampled == true)
    }

    @Test(
        "anything else is no traceparent",
        arguments: [
            "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
        ])
    func refuses(text: String) { #expect(TraceContext(traceparent: text) == nil) }
}

@Suite struct SamplerTests {
    private static let low = TraceID(high: 1, low: 1)!
    private static let high = TraceID(high: 1, low: .max)!

    private static func context(isSampled: Bool) -> TraceContext {
        TraceContext(traceID: low, spanID: SpanID(7)!, isSampled: isSampled)
    }

    @Test(
        "the samplers of the specification, by their names",
        arguments: [
            ("always_on", true, true, true, true), ("always_off", false, false, false, false),
            ("traceidratio", true, false, true, true), ("parentbased_always_on", true, true, true, false),
            ("parentbased_always_off", false, false, true, false),
            ("parentbased_traceidratio", true, false, true, false),
        ])
    func decides(name: String, low: Bool, high: Bool, afterSampled: Bool, afterUnsampled: Bool) throws {
        let sampler = try #require(Sampler(name: name) { 0.5 })
        #expect(sampler.records(Self.low, after: nil) == low)
        #expect(sampler.records(Self.high, after: nil) == high)
        #expect(sampler.records(Self.low, after: Self.context(isSampled: true)) == afterSampled)
        #expect(sampler.records(Self.low, after: Self.context(isSampled: false)) == afterUnsampled)
    }

    @Test("a ratio of 0 records nothing, and one of 1 everything")
    func bounds() {
        #expect(!Sampler(.ratio(0), followsParent: false).records(Self.low, after: nil))
        #expect(Sampler(.ratio(1), followsParent: false).records(Self.high, after: nil))
    }

    @Test("other names are none", arguments: ["", "jaeger_remote", "ALWAYS_ON", "parentbased_jaeger_remote"])
    func unknown(name: String) { #expect(Sampler(name: name) { 1 } == nil) }
}
