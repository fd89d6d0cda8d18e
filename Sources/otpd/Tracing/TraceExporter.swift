internal import EventLoop
internal import HTTP
internal import Logging
internal import Runtime
internal import Tracing

/// Exports the spans of a process over OTLP/HTTP in JSON, until it is drained. `SpanQueue` decides what is exported and when.
/// It has a connection of its own and is never waited for. Confined to the loop.
actor TraceExporter {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let tracer: Tracer
    private let encoder: SpanEncoder
    private let post: Post
    private let log: Logger
    private var errors = LogOnce()
    private var hasFailed = false
    private var drops = LogThrottle(every: .seconds(60))
    private var dropped: Int64 = 0
    private var isDraining = false
    /// Signaled by the drain.
    private let leaving: Latch
    private let flush: Instant.Duration

    /// Sends one body; what came of it, and in words if it failed.
    typealias Post = @Sendable ([UInt8], _ deadline: Instant) async -> (answer: ExportAnswer, failure: String?)

    /// The longest time that one request takes. OpenTelemetry's default.
    static let timeout = Instant.Duration.seconds(10)

    /// - Parameter flush: how long a drain waits for the last spans.
    init(
        _ tracer: Tracer, _ encoder: SpanEncoder, on loop: EventLoop, log: Logger,
        flush: Instant.Duration = .seconds(1), post: @escaping Post
    ) {
        (self.tracer, self.encoder, self.loop, self.log, self.post) = (tracer, encoder, loop, log, post)
        leaving = Latch(on: loop)
        self.flush = flush
    }

    /// Exports until drained, and then what is left, for at most `flush`.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in await export() }
            group.addTask { [self] in
                await leaving.wait()
                try? await loop.sleep(for: flush)
            }
            await group.next()
            // A request under way is given up.
            group.cancelAll()
        }
        tracer.withQueue { $0.abandon() }
    }

    private func export() async {
        while !Task.isCancelled {
            if isDraining, tracer.withQueue({ $0.isEmpty }) { return }
            switch tracer.withQueue({ $0.next(at: .now()) }) {
            case .wait(let until): await tracer.hasSpans.wait(until: until)
            case .export(let spans):
                let body = await Self.encode(spans, encoder)
                let (answer, failure) = await post(body, .now() + Self.timeout)
                tracer.withQueue { $0.answered(answer, at: .now(), jitter: .random(in: 0...1)) }
                report(failure)
            }
        }
    }

    /// Exports what is left, at most for `flush`. `run` returns then.
    func drain() {
        isDraining = true
        tracer.withQueue { $0.drain() }
        tracer.hasSpans.signal()
        leaving.signal()
    }

    /// Off the loop: a full batch takes milliseconds, and a send must not wait for that.
    private static func encode(_ spans: [Span], _ encoder: SpanEncoder) async -> [UInt8] {
        await withTaskExecutorPreference(globalConcurrentExecutor) { await encodeNow(spans, encoder) }
    }

    @concurrent private static func encodeNow(_ spans: [Span], _ encoder: SpanEncoder) async -> [UInt8] {
        encoder.body(spans)
    }

    /// One line for each change of state, and each error once.
    private func report(_ failure: String?) {
        if let failure, errors.isNew(failure) {
            log.warning(
                "cannot export traces; codes are sent all the same",
                metadata: [
                    LogKeys.error: "\(failure)",
                    LogKeys.remedy: "Check OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and the collector.",
                ])
        }
        if failure == nil, hasFailed {
            errors.succeeded()
            log.notice("exporting traces again")
        }
        hasFailed = failure != nil
        let lost = tracer.counts.dropped
        if lost > dropped, drops.count(at: .now()) != nil {
            log.warning(
                "dropped spans: they come faster than the collector takes them",
                metadata: [
                    LogKeys.count: "\(lost - dropped)",
                    LogKeys.remedy: "Record fewer traces: OTEL_TRACES_SAMPLER=parentbased_traceidratio.",
                ])
            dropped = lost
        }
    }
}

extension TraceExporter {
    /// A request of the project's own client. Nothing of the collector's answer is logged but its status.
    static func post(to settings: TraceSettings, _ http: HTTPClient) -> Post {
        { body, deadline in
            let request = Request(
                .post, url: settings.endpoint,
                headers: [.init("Content-Type", "application/json")]
                    + settings.headers.list.map { .init($0.name, $0.value) },
                body: body)
            do throws(HTTPError) {
                let response = try await http.perform(request, deadline: deadline)
                let answer = ExportAnswer(
                    status: response.status, body: response.body,
                    retryAfter: response.retryAfter.map { .seconds(Int64($0)) })
                switch answer {
                case .taken(rejected: 0): return (answer, nil)
                case .taken: return (answer, "the collector refused a part of the spans")
                case .tryAgain, .refused: return (answer, "the collector answered \(response.status)")
                }
            } catch {
                switch error.reason {
                // It never reached the collector, so another try cannot export a span twice.
                case .notSent(let why): return (.tryAgain(after: nil), "\(why)")
                case .unknown(let why): return (.refused, "\(why)")
                case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup: return (.refused, "\(error)")
                }
            }
        }
    }
}

/// What a process with traces has: a tracer for its parts, and the service that exports.
struct ProcessTraces: Sendable {
    let tracer: Tracer
    let service: Service

    /// - Throws: `Failure` when libcurl cannot be used.
    init(_ settings: TraceSettings, twilio: WebAddress?, on loop: EventLoop, _ log: Logger) throws(Failure) {
        var limits = HTTPConfiguration()
        limits.totalTimeout = TraceExporter.timeout
        limits.maxConnections = 1
        limits.plainHTTP = TraceSettings.plainHTTP
        limits.userAgent = "otpd/\(Version.number)"
        let http: HTTPClient
        do {
            http = try HTTPClient(limits, on: loop)
        } catch {
            throw Failure(.configuration, "cannot start", because: "\(error)")
        }
        let tracer = Tracer(settings.sampler, on: loop)
        let encoder = SpanEncoder(
            serviceName: settings.serviceName, version: Version.number, host: HostName.own,
            twilio: .init(
                origin: twilio.map { "\($0)" } ?? "", host: twilio?.host ?? "",
                port: Int(twilio?.port ?? (twilio?.scheme == .http ? 80 : 443))))
        let exporter = TraceExporter(
            tracer, encoder, on: loop, log: log, post: TraceExporter.post(to: settings, http))
        self.tracer = tracer
        // The spans of the last sends leave after the worker has ended.
        service = Service(
            run: {
                await exporter.run()
                await http.close()
                return nil
            }, drain: { await exporter.drain() }, isLast: true)
    }
}
