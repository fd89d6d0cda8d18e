import EventLoop
import Logging
import OTP
import Synchronization
import Testing
import Tracing

@testable import otpd

/// The settings of traces: the variables of OpenTelemetry's specification.
@Suite struct TraceSettingsTests {
    private static let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

    private func settings(_ changes: [String: String?]) throws -> TraceSettings? {
        try Fixture.settings(changes).traces
    }

    @Test func withoutAnEndpointThereAreNone() throws {
        #expect(try settings([:]) == nil)
        #expect(try settings(["OTEL_SERVICE_NAME": "a", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"]) == nil)
        #expect(try settings([Self.endpoint: ""]) == nil)
    }

    @Test(arguments: [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"), ("https://a.b/", "https://a.b/v1/traces"),
        ("https://a.b/base/", "https://a.b/base/v1/traces"),
    ])
    func thePathIsAddedToTheEndpointOfEverything(endpoint: String, url: String) throws {
        let traces = try #require(try settings([Self.endpoint: endpoint]))
        #expect(traces.endpoint == url && traces.serviceName == "otpd" && traces.sampler == .standard)
    }

    @Test func theEndpointOfTracesIsTakenAsItIs() throws {
        let traces = try settings(
            [Self.endpoint: "https://other.example.com", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://a.b/traces/"])
        #expect(traces?.endpoint == "https://a.b/traces/")
    }

    @Test(arguments: [("true", true), ("TRUE", true), ("false", false), ("1", false), ("", false)])
    func disabled(value: String, isDisabled: Bool) throws {
        let read = try Fixture.settings([Self.endpoint: "https://a.b", "OTEL_SDK_DISABLED": value])
        #expect((read.traces == nil) == isDisabled)
        #expect(read.warnings.contains { $0.hasPrefix("OTEL_SDK_DISABLED") } == (value == "1"))
    }

    @Test(
        arguments: [
            ("always_off", nil, Sampler(.alwaysOff, followsParent: false), false),
            ("traceidratio", "0.25", Sampler(.ratio(0.25), followsParent: false), false),
            ("parentbased_traceidratio", nil, Sampler(.ratio(1), followsParent: true), false),
            ("parentbased_traceidratio", "1.5", Sampler(.ratio(1), followsParent: true), true),
            ("parentbased_traceidratio", "0x1p-3", Sampler(.ratio(1), followsParent: true), true),
            ("xray", nil, .standard, true),
        ] as [(String, String?, Sampler, Bool)])
    func samplers(name: String, argument: String?, sampler: Sampler, warns: Bool) throws {
        let read = try Fixture.settings(
            [Self.endpoint: "https://a.b", "OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument])
        #expect(read.traces?.sampler == sampler)
        #expect(read.warnings.contains { $0.hasPrefix("OTEL_TRACES_SAMPLER") } == warns)
    }

    @Test func headersAreASecret() throws {
        let wrong = Fixture.problems([Self.endpoint: "https://a.b", "OTEL_EXPORTER_OTLP_HEADERS": "hunter2"])
        #expect(wrong.count == 1 && !wrong[0].contains("hunter2"))
        let open = try Fixture.settings([Self.endpoint: "http://a.b", "OTEL_EXPORTER_OTLP_HEADERS": "a=hunter2"])
        #expect(open.warnings.count == 1 && !open.warnings[0].contains("hunter2"))
        let here = try Fixture.settings([Self.endpoint: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"])
        #expect(here.warnings.isEmpty)
    }
}

/// The loop that exports, with a collector that is a closure.
@Suite struct TraceExporterTests {
    private static let encoder = SpanEncoder(
        serviceName: "a", version: "1", host: "h", twilio: .init(origin: "https://a.b", host: "a.b", port: 443))

    /// Records `count` spans, exports them, drains, and returns how many bodies came and what became of the spans.
    private func export(
        _ count: Int, flush: Instant.Duration = .seconds(600), post: @escaping TraceExporter.Post
    ) async throws -> (counts: SpanCounts, lines: [String]) {
        let loop = try EventLoop.start(name: "exporter")
        defer { loop.stop() }
        let log = LineLog()
        let counts = await Task(executorPreference: loop) {
            let tracer = Tracer(Sampler(.alwaysOn, followsParent: false), on: loop)
            let exporter = TraceExporter(tracer, Self.encoder, on: loop, log: log.logger, flush: flush, post: post)
            async let run: Void = exporter.run()
            await record(count, tracer, on: exporter)
            await exporter.drain()
            await run
            return await result(of: tracer, on: exporter)
        }.value
        return (counts, log.lines)
    }

    private func record(_ count: Int, _ tracer: Tracer, on exporter: isolated TraceExporter) {
        for number in 0..<count {
            let job = Span.Job(id: Int64(number), attempt: 1, channel: .sms, country: "SA")
            tracer.record(
                .lookup(Span.Lookup(job: job, outcome: "fail")), .child(of: nil), began: .now(), ended: .now())
        }
    }

    private func result(of tracer: Tracer, on exporter: isolated TraceExporter) -> SpanCounts { tracer.counts }

    @Test func aDrainExportsWhatIsLeft() async throws {
        let bodies = Mutex<[[UInt8]]>([])
        let (counts, lines) = try await export(600) { body, _ in
            bodies.withLock { $0.append(body) }
            return (.taken(rejected: 0), nil)
        }
        #expect(counts.exported == 600 && counts.failed == 0 && lines.isEmpty)
        #expect(bodies.withLock { $0.count } == 2)
    }

    @Test func beyondTheLimitSpansAreDropped() async throws {
        let (counts, _) = try await export(2500) { _, _ in (.taken(rejected: 0), nil) }
        #expect(counts.exported == 2048 && counts.dropped == 452)
    }

    @Test func aDrainTriesNothingAgain() async throws {
        let tries = Mutex(0)
        let (counts, lines) = try await export(1) { _, _ in
            tries.withLock { $0 += 1 }
            return (.tryAgain(after: .seconds(3600)), "the collector answered 503")
        }
        #expect(counts.failed == 1 && tries.withLock { $0 } == 1)
        #expect(lines == ["cannot export traces; codes are sent all the same"])
    }

    @Test func aCollectorThatNeverAnswersHoldsNoDrainUp() async throws {
        let (counts, _) = try await export(1, flush: .milliseconds(10)) { _, _ in
            // Ends when the exporter gives the request up.
            let (stream, _) = AsyncStream.makeStream(of: Void.self)
            for await _ in stream {}
            return (.refused, "given up")
        }
        #expect(counts.exported == 0 && counts.failed == 1)
    }
}

/// Keeps the lines that are logged.
private final class LineLog: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }
    var logger: Logger { Logger(label: "lines") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: LineLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { log.kept.withLock { $0.append("\(event.message)") } }
    }
}
