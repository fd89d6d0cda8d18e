internal import EventLoop

/// What a signal to stop means. Pure.
///
/// `timeout`, `tini -g` and signals to a process group deliver one stop two or three times within moments: that is one
/// stop, which drains. Only a signal that comes later asks to leave at once.
struct StopRule {
    enum Action: Equatable {
        case drain
        case ignore
        case leave
    }

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

    /// The drain has been set off: what arrived meanwhile came with the first signal, however long that took.
    mutating func drainBegan(at now: Instant) { drainingSince = now }
}
