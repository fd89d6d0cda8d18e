import EventLoop
import Logging
import Runtime

/// What the parts of a dispatcher share: the machine that decides, the counts, and the latches by which one part wakes
/// another. Confined to the loop.
final class DispatchCore {
    let loop: EventLoop
    let log: Logger
    /// The name of the service that sends, in messages for people: `Twilio`, or `the mail server`.
    let provider: String
    /// Decides what is claimed and handed over.
    var machine: DispatchMachine
    /// What this worker has done.
    var tally = Tally()
    /// The worker's number, from its first connection.
    private(set) var worker: Int64?
    /// How often the database's clock has jumped. Times that were read before such a jump mean nothing.
    var clockJumps = 0
    /// Something changed that a claim may follow from.
    let claimsMayGo: Latch
    /// There are results to record.
    let hasResults: Latch
    /// The status row should say what changed.
    let statusChanged: Latch

    init(_ machine: DispatchMachine, provider: String = "Twilio", on loop: EventLoop, log: Logger) {
        self.machine = machine
        self.provider = provider
        self.loop = loop
        self.log = log
        claimsMayGo = Latch(on: loop)
        hasResults = Latch(on: loop)
        statusChanged = Latch(on: loop)
    }

    /// The worker's number, from its first connection.
    func registered(as worker: Int64) {
        self.worker = worker
        statusChanged.signal()
        hasResults.signal()
    }

    /// Jobs were queued again: looks at once.
    func jobsAreDue() {
        machine.schedule.wake(at: .now())
        claimsMayGo.signal()
    }

    /// Logs that a pause of this worker began or ended.
    func announce(_ change: PauseMachine.Change) {
        switch change {
        case .none: break
        case .paused(let reason):
            log.error(
                "paused: nothing is sent, jobs wait",
                metadata: [LogKeys.reason: "\(reason.words)", LogKeys.remedy: "\(reason.remedy)"])
            statusChanged.signal()
        case .resumed(let span):
            log.notice(
                "resumed: \(provider) accepts messages again", metadata: [LogKeys.seconds: "\(Int(span.seconds))"])
            statusChanged.signal()
        }
    }
}

/// What this worker has done since it started, for its status row.
struct Tally {
    var claimed: Int64 = 0
    var accepted: Int64 = 0
    var failed: Int64 = 0
    var unknown: Int64 = 0
    /// From the request of a send to its acceptance, since the last report.
    var latency = LatencyHistogram()
    /// Twilio's state, by the last answer.
    var twilioState = "not used yet"
}
