import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// The row of `otp.worker_status` of a receiver that runs alone: what it has counted, written by a `HeartbeatLoop`. Where
/// its role may not write there (one that can no more than `otp.record_status`), it logs that once and has no row.
actor StatusRow {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let buffer: ReceiptBuffer
    private let session: Session
    private let log: Logger
    private var report: WorkerReport
    private var worker: Int64?
    private var isRefused = false

    static let interval = Instant.Duration.seconds(5)
    /// Short: a stop waits for a heartbeat that is under way.
    static let timeout = Instant.Duration.seconds(3)

    init(_ report: WorkerReport, loop: EventLoop, buffer: ReceiptBuffer, session: Session, log: Logger) {
        self.report = report
        self.loop = loop
        self.buffer = buffer
        self.session = session
        self.log = log
        self.report.state = .running
    }

    /// What writes it.
    nonisolated var heartbeat: HeartbeatLoop {
        HeartbeatLoop(
            timeout: Self.timeout,
            send: { [self] in await write($0, timeout: $1) },
            wait: { [loop] in try? await loop.sleep(for: $0) })
    }

    /// Writes the row; a final state only while there is a connection.
    private func write(_ state: WorkerReport.State?, timeout: Instant.Duration) async -> Instant.Duration? {
        guard !isRefused else { return nil }
        if let state {
            report.state = state
            if state == .stopped { report.databaseState = nil }
            guard await session.current != nil else { return nil }
        }
        do throws(PostgresError) {
            let connection = try await session.connection(deadline: .now() + timeout)
            if worker == nil { worker = try await Register.run(on: connection, deadline: .now() + timeout) }
            guard let worker else { return Self.interval }
            report.callbacks = buffer.counters.reported
            try await ReceiverHeartbeat.run(on: connection, worker: worker, report, deadline: .now() + timeout)
        } catch {
            // What is lost is the session's to report.
            guard case .server(let refusal) = error, !Task.isCancelled else { return Self.interval }
            isRefused = refusal.sqlstate == "42501"
            log.warning(
                isRefused
                    ? "this receiver is not shown in otp.worker_status: its role may not write there"
                    : "the receiver's status can't be written",
                metadata: isRefused
                    ? [LogKeys.remedy: "Make its role a member of otp_worker, or leave it so."]
                    : [LogKeys.error: "\(error)"])
        }
        return isRefused ? nil : Self.interval
    }
}

extension Counters {
    /// As `otp.worker_status` has them.
    var reported: CallbackCounts {
        CallbackCounts(
            received: Int64(received), refused: Int64(refused), dropped: Int64(dropped), written: Int64(written))
    }
}
