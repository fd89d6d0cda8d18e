internal import EventLoop

/// Decides what a stop signal means. Pure.
///
/// `timeout`, `tini -g` and signals to a process group may deliver one stop two or three times within moments. These
/// signals count as one stop, which drains. Only a later signal ends the process at once.
struct StopRule {
    enum Action: Equatable {
        case drain
        case ignore
        case leave
    }

    /// Signals within this time of the first one count as the same stop.
    static let apart = Instant.Duration.seconds(1)

    private var drainingSince: Instant?

    var isStopping: Bool { drainingSince != nil }

    mutating func received(at now: Instant) -> Action {
        guard let since = drainingSince else {
            drainingSince = now
            return .drain
        }
        return now - since < Self.apart ? .ignore : .leave
    }

    /// Call this when the drain has been started. The second counts from here, because signals that arrived while the
    /// drain was started came with the first one.
    mutating func drainBegan(at now: Instant) { drainingSince = now }
}
