public import EventLoop
import Glibc

/// Makes the spans of one process, and keeps them until they are exported. A worker without traces has none.
///
/// `@unchecked Sendable`: touched only on the loop's thread, which `checkIsolated()` enforces at each entry point.
public final class Tracer: @unchecked Sendable {
    private let loop: EventLoop
    private let sampler: Sampler
    private let now: () -> Int64
    private var random: AnyGenerator
    private var queue: SpanQueue
    /// Signaled when the exporter has something to do earlier than it knows.
    public let hasSpans: Latch

    /// A tracer whose time and identifiers come from outside, for tests. `now` is in nanoseconds since the Unix epoch.
    public init(
        _ sampler: Sampler, limits: ExportLimits = ExportLimits(), on loop: EventLoop,
        random: any RandomNumberGenerator = SystemRandomNumberGenerator(),
        now: @escaping () -> Int64 = Tracer.wallClock
    ) {
        self.loop = loop
        self.sampler = sampler
        self.random = AnyGenerator(base: random)
        self.now = now
        queue = SpanQueue(limits)
        hasSpans = Latch(on: loop)
    }

    /// The time of day, in nanoseconds since the Unix epoch.
    public static func wallClock() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Where a span belongs.
    public enum Origin: Sendable {
        /// It continues the caller's trace, or begins one if there is no caller.
        case child(of: TraceContext?)
        /// It begins a trace of its own, with a link to the caller's span.
        case linked(to: TraceContext?)
    }

    /// Records a span from `began` to `ended`. Returns its context, or nil if it is not sampled.
    @discardableResult
    public func record(
        _ content: Span.Content, _ origin: Origin, began: Instant, ended: Instant
    ) -> TraceContext? {
        loop.checkIsolated()
        let (trace, parent, link): (TraceID, TraceContext?, TraceContext?) =
            switch origin {
            case .child(let caller?): (caller.traceID, caller, nil)
            case .child(of: nil): (TraceID(using: &random), nil, nil)
            case .linked(let caller): (TraceID(using: &random), nil, caller)
            }
        guard sampler.records(trace, after: parent ?? link) else { return nil }
        let context = TraceContext(traceID: trace, spanID: SpanID(using: &random), isSampled: true)
        add(content, context, parent.map { .init(spanID: $0.spanID, isRemote: true) }, link, began, ended)
        return context
    }

    /// Records a part of a recorded span.
    public func record(_ content: Span.Content, within whole: TraceContext, began: Instant, ended: Instant) {
        loop.checkIsolated()
        let context = TraceContext(traceID: whole.traceID, spanID: SpanID(using: &random), isSampled: true)
        add(content, context, .init(spanID: whole.spanID, isRemote: false), nil, began, ended)
    }

    private func add(
        _ content: Span.Content, _ context: TraceContext, _ parent: Span.Parent?, _ link: TraceContext?,
        _ began: Instant, _ ended: Instant
    ) {
        // The machine's clock for spans is the one that they were measured on, moved to the time of day.
        let offset = now() - Instant.now().nanoseconds
        let isDue = queue.add(
            Span(
                context: context, parent: parent, link: link, began: began.nanoseconds + offset,
                ended: max(began, ended).nanoseconds + offset, content: content), at: ended)
        if isDue { hasSpans.signal() }
    }

    /// Runs `body` with the queue, for the exporter.
    public func withQueue<Value>(_ body: (inout SpanQueue) -> Value) -> Value {
        loop.checkIsolated()
        return body(&queue)
    }

    /// What became of the spans so far.
    public var counts: SpanCounts {
        loop.checkIsolated()
        return queue.counts
    }
}

/// A generator of any type, so that a tracer is of one type.
private struct AnyGenerator: RandomNumberGenerator {
    var base: any RandomNumberGenerator

    mutating func next() -> UInt64 { base.next() }
}
