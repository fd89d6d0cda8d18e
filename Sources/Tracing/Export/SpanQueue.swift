public import EventLoop

/// The limits of an export.
public struct ExportLimits: Sendable {
    /// Spans that wait. Further ones are dropped.
    public var waiting = 2048
    /// Spans in one request.
    public var batch = 512
    /// How long a span waits for others.
    public var interval = Instant.Duration.seconds(5)
    /// Requests with the same spans.
    public var tries = 5
    /// The wait after the first request that is tried again. Each further one is twice as long.
    public var firstWait = Instant.Duration.seconds(1)
    /// The longest wait, whatever the collector asks for.
    public var longestWait = Instant.Duration.seconds(60)

    public init() {}
}

/// What became of a process's spans since its start.
public struct SpanCounts: Sendable, Equatable {
    /// Spans that the collector took.
    public var exported: Int64 = 0
    /// Spans for which there was no room.
    public var dropped: Int64 = 0
    /// Spans that the collector did not take.
    public var failed: Int64 = 0

    public init() {}
}

/// What the collector answered to a batch.
public enum ExportAnswer: Sendable, Equatable {
    /// It took the spans, except these many.
    case taken(rejected: Int64)
    /// It asks for another try: 429, 502, 503 or 504. Or it was never reached.
    case tryAgain(after: Instant.Duration?)
    /// It refused the spans, or its answer is unknown.
    case refused
}

/// Decides when spans are exported, what becomes of them, and which are dropped. Pure.
///
/// One batch is under way at a time, so that a slow collector costs one connection. A batch is tried again after waits
/// that double, or after the wait that the collector asks for. Meanwhile new spans wait, and beyond the limit they are
/// dropped. No span is exported twice, unless the collector took it and its answer was an error that asks for another
/// try.
public struct SpanQueue: Sendable {
    public enum Step: Sendable, Equatable {
        /// Export these, then call `answered`.
        case export([Span])
        /// Wait, at most until then.
        case wait(until: Instant?)
    }

    private let limits: ExportLimits
    private var waiting: [Span] = []
    /// When the oldest waiting span came.
    private var since: Instant?
    /// The batch under way, or that waits for its next try.
    private var batch: [Span] = []
    private var tries = 0
    private var retryAt: Instant?
    private var isDraining = false
    public private(set) var counts = SpanCounts()

    public init(_ limits: ExportLimits = ExportLimits()) { self.limits = limits }

    /// Whether nothing is left to export.
    public var isEmpty: Bool { waiting.isEmpty && batch.isEmpty }

    /// Takes a span, or drops it. Returns whether the exporter has to look now: it waits for a first span, or a batch is
    /// full.
    mutating func add(_ span: Span, at now: Instant) -> Bool {
        guard waiting.count < limits.waiting else {
            counts.dropped += 1
            return false
        }
        waiting.append(span)
        if since == nil { since = now }
        return waiting.count == 1 || waiting.count == limits.batch
    }

    /// From now on nothing waits for more spans, nor for another try.
    public mutating func drain() { isDraining = true }

    /// What to do now.
    public mutating func next(at now: Instant) -> Step {
        if let retryAt, !isDraining, now < retryAt { return .wait(until: retryAt) }
        if batch.isEmpty {
            guard let since else { return .wait(until: nil) }
            let due = since + limits.interval
            guard isDraining || waiting.count >= limits.batch || now >= due else { return .wait(until: due) }
            batch = Array(waiting.prefix(limits.batch))
            waiting.removeFirst(batch.count)
            self.since = waiting.isEmpty ? nil : now
            tries = 0
        }
        retryAt = nil
        tries += 1
        return .export(batch)
    }

    /// The batch that `next` gave has ended. `jitter` is between 0 and 1: it spreads the tries of several processes.
    public mutating func answered(_ answer: ExportAnswer, at now: Instant, jitter: Double) {
        switch answer {
        case .taken(let rejected):
            let rejected = min(max(0, rejected), Int64(batch.count))
            counts.exported += Int64(batch.count) - rejected
            counts.failed += rejected
            batch = []
        case .tryAgain(let wait):
            guard tries < limits.tries, !isDraining else { return giveUp() }
            let backoff = limits.firstWait.nanoseconds << Int64(tries - 1)
            let wanted = wait ?? Instant.Duration(nanoseconds: backoff / 2 + Int64(Double(backoff / 2) * jitter))
            retryAt = now + min(wanted, limits.longestWait)
        case .refused: giveUp()
        }
    }

    /// Gives up what is left, because the process ends.
    public mutating func abandon() {
        counts.failed += Int64(waiting.count)
        (waiting, since) = ([], nil)
        giveUp()
    }

    private mutating func giveUp() {
        counts.failed += Int64(batch.count)
        batch = []
    }
}
