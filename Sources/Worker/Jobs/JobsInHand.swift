import EventLoop
import Queue

/// The jobs that this worker has claimed and whose attempts have not ended, and what it remembers of those that have.
/// Confined to the loop.
final class JobsInHand {
    /// The jobs that wait to be handed over.
    var waiting = WaitingQueue()
    /// By sender: the jobs in hand whose turn comes soon.
    var rateLimited: [String: WaitingQueue] = [:]
    /// The jobs whose numbers are being looked up (`RiskChecks`).
    var checked: [Int64: WaitingJob] = [:]
    /// Jobs whose earlier claim was lost with its worker: one at a time (`Claim`).
    var quarantined = 0
    /// What this process has handed to Twilio, whatever the database remembers of it.
    var handedOver = HandedOver()
    /// When the claiming session reached the present server: an earlier claim may be missing there, after a failover to
    /// an asynchronous standby.
    var claimsHoldSince = Instant(nanoseconds: 0)
    /// By tag: the requests under way.
    private var sending: [WaitingJob?] = []
    private var freeTags: [Int] = []

    /// The jobs whose requests are under way.
    var underWay: [WaitingJob] { sending.compactMap { $0 } }

    /// The ids of all jobs in hand.
    var ids: [Int64] {
        waiting.jobs + rateLimited.values.flatMap(\.jobs) + checked.keys + sending.compactMap { $0?.job.id }
    }

    /// What is known of a job that a claim brought: see `HandedOver.finding`. A request that is still under way can leave
    /// until the end of its trust window.
    func finding(job: Int64, attempt: Int32, requestedAt: Int64, isResolved: Bool, at now: Instant)
        -> HandedOver.Finding
    {
        if let sent = underWay.first(where: { $0.job.id == job && $0.job.requestedAt == requestedAt }) {
            return .unknown(age: now - sent.trustedUntil)
        }
        return handedOver.finding(
            job: job, attempt: attempt, requestedAt: requestedAt, isResolved: isResolved, at: now)
    }

    /// A job is being handed over; the tag by which its end is told.
    func began(_ job: WaitingJob) -> Int {
        let tag = freeTags.popLast() ?? sending.count
        if tag == sending.count { sending.append(job) } else { sending[tag] = job }
        return tag
    }

    /// The request with this tag has ended; nil where there is none.
    func ended(_ tag: Int) -> WaitingJob? {
        guard let job = sending[tag] else { return nil }
        sending[tag] = nil
        freeTags.append(tag)
        return job
    }
}
