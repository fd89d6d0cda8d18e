/// Decides which traces are recorded, by the samplers of OpenTelemetry's specification (`OTEL_TRACES_SAMPLER`). Pure.
public struct Sampler: Sendable, Equatable {
    /// The decision where no other span has made it.
    public enum Root: Sendable, Equatable {
        case alwaysOn
        case alwaysOff
        /// This share of the traces, by their identifiers: 0 for none, 1 for all.
        case ratio(Double)
    }

    /// Decides about traces that begin here.
    public let root: Root
    /// Whether a span follows the decision of its parent. A span with a link and no parent follows the linked span, so that
    /// the retries of a recorded trace are recorded too.
    public let followsParent: Bool

    /// The specification's default, `parentbased_always_on`.
    public static let standard = Sampler(.alwaysOn, followsParent: true)

    /// A sampler of these rules.
    public init(_ root: Root, followsParent: Bool) { (self.root, self.followsParent) = (root, followsParent) }

    /// The sampler with this name in `OTEL_TRACES_SAMPLER`. `ratio` gives the value of `OTEL_TRACES_SAMPLER_ARG`; it is
    /// asked only for a sampler with a ratio. Nil for a name that the specification does not have, or that otpd does not
    /// know (`jaeger_remote`, `xray`).
    public init?(name: String, ratio: () -> Double) {
        let prefix = "parentbased_"
        followsParent = name.hasPrefix(prefix)
        switch followsParent ? String(name.dropFirst(prefix.count)) : name {
        case "always_on": root = .alwaysOn
        case "always_off": root = .alwaysOff
        case "traceidratio": root = .ratio(ratio())
        default: return nil
        }
    }

    /// Whether a span of `trace` is recorded. `other` is its parent, or the span that it has a link to.
    func records(_ trace: TraceID, after other: TraceContext?) -> Bool {
        if followsParent, let other { return other.isSampled }
        switch root {
        case .alwaysOn: return true
        case .alwaysOff: return false
        // As OpenTelemetry's libraries do it: the lower 8 bytes, without their first bit, against the ratio. The largest of
        // them would be rounded up to the bound of a ratio of 1.
        case .ratio(let ratio): return ratio >= 1 || Double(trace.low >> 1) < ratio * 0x1p63
        }
    }
}
