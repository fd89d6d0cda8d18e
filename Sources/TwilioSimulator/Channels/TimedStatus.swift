/// A status, and when it begins, counted from the creation.
struct TimedStatus<Status: Equatable & Sendable>: Equatable, Sendable {
    var status: Status
    var afterMilliseconds: Int
}

/// The time at which a message reaches each status, from its creation. A call reaches ringing, in-progress and its end
/// as late as a message reaches sending, sent and its final status, counted from when it leaves the queue.
struct StatusDelays: Equatable {
    var sendingMilliseconds = 200
    var sentMilliseconds = 500
    var finalMilliseconds = 1500

    init() {}

    /// Nil for delays that go back in time.
    init?(sending: Int, sent: Int, final: Int) {
        guard sending >= 0, sent >= sending, final >= sent else { return nil }
        sendingMilliseconds = sending
        sentMilliseconds = sent
        finalMilliseconds = final
    }
}
