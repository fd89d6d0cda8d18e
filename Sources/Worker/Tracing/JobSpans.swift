import EventLoop
import Logging
import OTP
import Queue
import Runtime
import Tracing

/// Makes the spans of send jobs. Parts of a worker without traces have none. Confined to the loop.
///
/// The first attempt of a request continues the caller's trace. Everything later begins a trace of its own with a link
/// to the caller's span, because the caller's trace has long ended by then.
struct JobSpans: Sendable {
    private let tracer: Tracer

    init(_ tracer: Tracer) { self.tracer = tracer }

    /// The request of an attempt has ended. `httpStatus` is that of the answer, nil without one. Returns the attempt's span,
    /// or nil if it is not recorded.
    func sent(_ sent: WaitingJob, _ outcome: Outcome, _ step: Disposition.Step, httpStatus: Int?, at now: Instant)
        -> TraceContext?
    {
        let job = sent.job
        let sid: MessageSID? = if case .accepted(let sid, _) = outcome { sid } else { nil }
        let content = Span.Content.send(
            Span.Send(
                job: Span.Job(job), follows: job.follows, outcome: step.word, sid: sid, error: outcome.errorType,
                wait: job.age.nanoseconds))
        guard let span = tracer.record(content, Self.origin(of: job), began: sent.claimedAt, ended: now) else {
            return nil
        }
        // A mail goes over SMTP, for which OpenTelemetry has no conventions.
        guard job.channel != .email else { return span }
        tracer.record(
            .request(
                Span.Exchange(
                    channel: job.channel, status: httpStatus, error: httpStatus == nil ? outcome.errorType : nil,
                    resends: Int(job.tries) - 1)),
            within: span, began: sent.handedOver.at, ended: now)
        return span
    }

    /// An attempt ended before anything was handed over. A job that only goes back to the queue has no span.
    func dropped(_ next: WaitingJob, _ why: Unsendable, at now: Instant) {
        switch why.outcome {
        case .release, .deferred, .hold, .unknown: return
        case .failed, .expired, .limited, .canceled, .retry: break
        }
        let error: String? = why.outcome == .canceled ? nil : why.errorClass ?? "not_sent"
        _ = tracer.record(
            .send(
                Span.Send(
                    job: Span.Job(next.job), follows: next.job.follows, outcome: why.outcome.rawValue, error: error,
                    wait: next.job.age.nanoseconds)),
            Self.origin(of: next.job), began: next.claimedAt, ended: now)
    }

    /// A lookup of a job has ended. Only jobs with a trace have spans of their lookups.
    func lookedUp(_ job: UnknownJob, outcome: String, began: Instant) -> TraceContext? {
        guard let caller = job.caller else { return nil }
        return tracer.record(
            .lookup(
                Span.Lookup(
                    job: Span.Job(id: job.id, attempt: job.attempt, channel: job.channel, country: job.country),
                    outcome: outcome)),
            .linked(to: caller), began: began, ended: .now())
    }

    /// Statuses of messages were recorded after polls. Only those that are news have spans.
    func polled(_ reports: [MessageReport], _ traced: [TracedMessages.Message], began: Instant) {
        for message in traced where message.isNews {
            let report = reports[message.index]
            tracer.record(
                .receipt(message.receipt(sid: report.key.sid, report.status, report.errorCode, .poll)),
                .linked(to: message.caller), began: began, ended: .now())
        }
    }

    private static func origin(of job: ClaimedJob) -> Tracer.Origin {
        job.tries > 1 || job.follows != nil ? .linked(to: job.caller) : .child(of: job.caller)
    }
}

extension Span.Job {
    fileprivate init(_ job: ClaimedJob) {
        self.init(id: job.id, attempt: job.attempt, channel: job.channel, country: job.country)
    }
}

extension Disposition.Step {
    /// For spans.
    fileprivate var word: String {
        switch self {
        case .accepted: "accepted"
        case .failed: "failed"
        case .retry: "retry"
        case .hold: "hold"
        case .expired: "expired"
        case .unknown: "unknown"
        }
    }
}

extension Outcome {
    /// `error.type` of OpenTelemetry: Twilio's error code, or a word where there is none; nil for an accepted message.
    var errorType: String? {
        switch self {
        case .accepted: nil
        case .refused(let refused): "\(refused.code)"
        case .rejected(let rejection):
            rejection.why.code.map { "\($0)" } ?? rejection.why.errorClass?.rawValue ?? "rejected"
        case .unknown(.ambiguousCode(let code)): "\(code)"
        case .unknown(let reason): reason.name
        case .notSent(let reason, _):
            switch reason {
            case .nameLookup: "name_lookup"
            case .connect: "connect"
            case .tls: "tls"
            case .bodyNotSent: "body_not_sent"
            case .leaseTooShort: "lease_too_short"
            case .throttled: "429"
            case .noDescriptor: "no_descriptor"
            case .blocked: "blocked"
            case .mailServer: "mail_server"
            }
        }
    }
}

extension Logger.Metadata {
    /// With the keys by which OpenTelemetry joins a line to a span, if the job has a trace.
    func joined(to span: TraceContext?) -> Logger.Metadata {
        guard let span else { return self }
        var metadata = self
        metadata[LogKeys.traceID] = "\(span.traceID)"
        metadata[LogKeys.spanID] = "\(span.spanID)"
        return metadata
    }
}
