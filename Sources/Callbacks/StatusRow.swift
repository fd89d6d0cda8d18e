import EventLoop
import Logging
import Postgres
import Queue
import Runtime
import Tracing

/// Keeps the row of `otp.worker_status` of a receiver that runs alone.
struct HeartbeatLoop: BackgroundLoop, Sendable {
    let loop: EventLoop
    let row: StatusRow

    static let interval = Instant.Duration.seconds(5)
    /// Short: a stop waits for a heartbeat that is under way.
    static let timeout = Instant.Duration.seconds(3)
    static let finalTimeout = Instant.Duration.seconds(2)

    enum Wait: Equatable {
        /// Until the next heartbeat is due.
        case interval
        /// For ever: the role may not write the row.
        case forever
    }

    func round() async -> Wait { await row.write(timeout: Self.timeout) ? .interval : .forever }

    func pause(_ wait: Wait) async {
        switch wait {
        case .interval: try? await loop.sleep(for: Self.interval)
        case .forever: await Latch(on: loop).wait()
        }
    }

    /// Reports that the receiver is about to stop, or has stopped.
    func sendFinal(_ state: WorkerReport.State) async { _ = await row.write(state, timeout: Self.finalTimeout) }
}

/// The row of `otp.worker_status` of a receiver that runs alone, with its counts. If its role may not write there (a
/// role that may only call `otp.record_status`), it logs that once and has no row.
actor StatusRow {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let buffer: ReceiptBuffer
    private let session: Session
    private let log: Logger
    private let tracer: Tracer?
    private var report: WorkerReport
    private var worker: Int64?
    private var isRefused = false

    init(
        _ report: WorkerReport, loop: EventLoop, buffer: ReceiptBuffer, session: Session, log: Logger,
        tracer: Tracer? = nil
    ) {
        self.tracer = tracer
        self.report = report
        self.loop = loop
        self.buffer = buffer
        self.session = session
        self.log = log
        self.report.state = .running
    }

    /// Writes the row; a final state only while there is a connection. False if the role may not.
    func write(_ state: WorkerReport.State? = nil, timeout: Instant.Duration) async -> Bool {
        guard !isRefused else { return false }
        if let state {
            report.state = state
            if state == .stopped { report.databaseState = nil }
            guard await session.current != nil else { return true }
        }
        do throws(PostgresError) {
            let connection = try await session.connection(deadline: .now() + timeout)
            if worker == nil { worker = try await Register.run(on: connection, deadline: .now() + timeout) }
            guard let worker else { return true }
            report.callbacks = buffer.counters.reported
            report.spans = tracer?.counts
            try await ReceiverHeartbeat.run(on: connection, worker: worker, report, deadline: .now() + timeout)
        } catch {
            // The session logs a lost connection.
            guard case .server(let refusal) = error, !Task.isCancelled else { return true }
            isRefused = refusal.sqlstate == "42501"
            log.warning(
                isRefused
                    ? "the role may not write to otp.worker_status; this receiver is not listed there"
                    : "cannot write the receiver's status; trying again",
                metadata: isRefused
                    ? [LogKeys.remedy: "Make its role a member of otp_worker. Callbacks are recorded either way."]
                    : [LogKeys.error: "\(error)"])
        }
        return !isRefused
    }
}

extension Counters {
    /// As `otp.worker_status` has them.
    var reported: CallbackCounts {
        CallbackCounts(
            received: Int64(received), refused: Int64(refused), dropped: Int64(dropped), written: Int64(written))
    }
}
