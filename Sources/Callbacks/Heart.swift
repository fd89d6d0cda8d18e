import EventLoop
import Logging
import Postgres
import Queue

/// Writes what a receiver that runs alone has counted into its row of `otp.worker_status`, while it is connected. Where its
/// role may not (one that can no more than `otp.record_status`), it says so once and has no row.
actor Heart {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let inbox: Inbox
    private let session: Session
    private let log: Logger
    private var report: WorkerReport
    private var worker: Int64?
    private var isRefused = false

    static let interval = Instant.Span.seconds(5)
    /// Short: a stop waits for a beat that is under way.
    static let patience = Instant.Span.seconds(3)
    static let farewell = Instant.Span.seconds(2)

    init(_ report: WorkerReport, loop: EventLoop, inbox: Inbox, session: Session, log: Logger) {
        self.report = report
        self.loop = loop
        self.inbox = inbox
        self.session = session
        self.log = log
        self.report.state = .running
    }

    /// Beats until cancelled.
    func run() async {
        while !Task.isCancelled, !isRefused {
            await beat(within: Self.patience)
            try? await loop.sleep(for: Self.interval)
        }
    }

    /// The last beats: it stops, or has stopped.
    func leave(_ state: WorkerReport.State) async {
        report.state = state
        if state == .stopped { report.databaseState = nil }
        if await session.current != nil { await beat(within: Self.farewell) }
    }

    private func beat(within span: Instant.Span) async {
        guard !isRefused else { return }
        do throws(PostgresError) {
            let connection = try await session.connection(deadline: .now() + span)
            if worker == nil { worker = try await Register.run(on: connection, deadline: .now() + span) }
            guard let worker else { return }
            report.callbacks = inbox.counters.reported
            try await ReceiverHeartbeat.run(on: connection, worker: worker, report, deadline: .now() + span)
        } catch {
            // What is lost is the session's to report.
            guard case .server(let refusal) = error, !Task.isCancelled else { return }
            isRefused = refusal.sqlstate == "42501"
            log.warning(
                isRefused
                    ? "this receiver is not shown in otp.worker_status: its role may not write there"
                    : "the receiver's status can't be written",
                metadata: isRefused
                    ? [LogKeys.remedy: "Make its role a member of otp_worker, or leave it so."]
                    : [LogKeys.error: "\(error)"])
        }
    }
}

extension Counters {
    /// As `otp.worker_status` has them.
    var reported: CallbackCounts {
        CallbackCounts(
            received: Int64(received), refused: Int64(refused), dropped: Int64(dropped), written: Int64(written))
    }
}
