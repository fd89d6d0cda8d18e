import EventLoop
import OTP
import Queue

/// What the worker's row in `otp.worker_status` says. Confined to the loop.
struct StatusReport {
    let core: DispatchCore
    let pauses: PauseBook
    let recorder: Recorder
    /// Why fewer requests go at a time than the settings allow, where that is so.
    let windowNote: String?
    /// The channels that the worker sends by.
    var channels: [Channel] = [.sms, .whatsapp, .call]

    /// Whether the worker takes jobs and sends them: connected, neither paused nor leaving.
    var isRunning: Bool {
        let machine = core.machine
        return machine.database.canClaim && !machine.isDraining && machine.pause.reason == nil && !machine.isHalted
    }

    /// Adds the dispatcher's figures to `base`, and begins a new span of latencies.
    func make(from base: WorkerReport) -> WorkerReport {
        var report = base
        let now = Instant.now()
        let (machine, tally) = (core.machine, core.tally)
        let isPaused = machine.pause.reason != nil || machine.isHalted
        report.state = machine.isDraining ? .draining : isPaused ? .paused : .running
        report.reason = pauses.all?.reason ?? machine.pause.reason?.words
        report.remedy = pauses.all?.endRemedy ?? machine.pause.reason?.remedy
        report.pausedFor = (pauses.haltedAt ?? machine.pause.since).map { now - $0 }
        report.nextProbe = machine.isHalted ? nil : machine.pause.nextProbe.map { $0 - now }
        report.inFlight = machine.inFlight
        report.claimed = tally.claimed
        report.accepted = tally.accepted
        report.failed = tally.failed
        report.unknown = tally.unknown
        report.latency = (tally.latency.percentile(0.5), tally.latency.percentile(0.95), tally.latency.percentile(0.99))
        // The claiming connection is up, because it writes this row.
        report.databaseState =
            !machine.database.canRecord
            ? "the connection for results is lost; \(recorder.unsaved) waiting"
            : recorder.trouble.map { "connected; \(recorder.setAside) results cannot be recorded yet: \($0)" }
                ?? "connected"
        let state = [tally.twilioState, windowNote, machine.rates.words(at: now)].compactMap { $0 }.joined(
            separator: "; ")
        (report.twilioState, report.mailState) = channels == [.email] ? (nil, state) : (state, nil)
        core.tally.latency.reset()
        return report
    }
}
