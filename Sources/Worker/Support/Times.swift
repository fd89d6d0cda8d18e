import EventLoop

/// The times that keep a code from being sent late or twice. They depend on each other: HTTP total < trust window <
/// lease, and drain < TimeoutStopSec < lease (deploy/otpd.service).
enum Times {
    /// How long a claim is good for, by the database's clock.
    static let lease = Instant.Duration.seconds(30)
    /// How much the lease is shortened on the local clock, which counts from before the claim was sent.
    static let margin = Instant.Duration.seconds(2)
    /// How long before the code's expiry the last byte of a request must have left. The rest is for its way to Twilio.
    static let way = Instant.Duration.milliseconds(500)
    /// A whole POST.
    static let http = Instant.Duration.seconds(10)
    /// A whole mail, with the mail server's reply to its content.
    static let mail = Instant.Duration.seconds(14)
    /// A request that asks whether an outage is over.
    static let connectivityCheck = Instant.Duration.seconds(2)
    /// From SIGTERM until the worker exits, even with work left.
    static let drain = Instant.Duration.seconds(15)
    /// For a heartbeat. It is shorter than for other statements: on a server whose commits hang, a heartbeat is the
    /// first statement of an idle worker to fail.
    static let beat = Instant.Duration.seconds(5)
    /// For the last heartbeat.
    static let finalBeat = Instant.Duration.seconds(2)
    /// After a promotion: from a session's reconnect to its next claim, while other workers run. Longer than other
    /// workers take to reconnect and to write what they know (`Session.backoff`).
    static let reassertion = Instant.Duration.seconds(2)
    /// How far ahead of the free slots jobs are claimed, in work at the present rate.
    static let claimedAhead = Instant.Duration.milliseconds(250)
    /// One statement.
    static let statement = Instant.Duration.seconds(10)
}
