public import EventLoop
public import Queue

/// Writes a service's row of `otp.worker_status` again and again, and a last time when the service leaves.
public struct HeartbeatLoop: BackgroundLoop {
    /// Writes one heartbeat within `timeout`, with `state` in place of the service's own where one is given.
    ///
    /// Returns how long until the next heartbeat at most; nil where there is to be no other.
    public typealias Send =
        @Sendable (_ state: WorkerReport.State?, _ timeout: Instant.Duration) async -> Instant.Duration?

    /// Waits until the next heartbeat is due: that long, or until something is worth reporting.
    public typealias Wait = @Sendable (Instant.Duration) async -> Void

    private let timeout: Instant.Duration
    private let send: Send
    private let wait: Wait

    /// For the last heartbeat: a stop waits for it.
    public static let finalTimeout = Instant.Duration.seconds(2)

    /// - Parameter timeout: for one heartbeat, the wait for a connection included.
    public init(timeout: Instant.Duration, send: @escaping Send, wait: @escaping Wait) {
        self.timeout = timeout
        self.send = send
        self.wait = wait
    }

    /// Sends heartbeats until canceled.
    public func run() async {
        while !Task.isCancelled, let pause = await send(nil, timeout) { await wait(pause) }
    }

    /// Reports that the service is about to stop, or has stopped.
    public func sendFinal(_ state: WorkerReport.State = .stopped) async { _ = await send(state, Self.finalTimeout) }
}
