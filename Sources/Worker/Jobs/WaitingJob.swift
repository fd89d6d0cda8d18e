import EventLoop
import OTP
import Queue

/// A claimed job on its way to Twilio, with the instants by which the local clock may trust its claim.
///
/// It is a class because it moves through five places: as a struct, each move would copy its five strings.
final class WaitingJob {
    let job: ClaimedJob
    /// Until when its body may be fed: the end of the lease, counted from before the claim was sent, less the margin;
    /// or the code's expiry, less the time of its way, if that comes first.
    let trustedUntil: Instant
    /// When its code expires. This too counts from before the claim was sent, and so is never too late.
    let expiresAt: Instant
    /// When the claim was sent. The latency adds the job's wait before that.
    let claimedAt: Instant
    /// When it was handed over, how many requests were under way then, with it, and from which sender it goes.
    private(set) var handedOver = (at: Instant(nanoseconds: 0), concurrency: 0, sender: "")

    init(_ job: ClaimedJob, claimedAt: Instant) {
        self.job = job
        self.claimedAt = claimedAt
        expiresAt = claimedAt + job.life
        trustedUntil = min(claimedAt + Times.lease - Times.margin, expiresAt - Times.way)
    }

    func isHandedOver(at now: Instant, concurrency: Int, sender: String) {
        handedOver = (now, concurrency, sender)
    }

    /// Whether a whole request still fits into the lease.
    func fitsLease(at now: Instant) -> Bool {
        now + Times.http < claimedAt + Times.lease - Times.margin
    }

    func lifeLeft(at now: Instant) -> Duration { .nanoseconds((expiresAt - now).nanoseconds) }
}

/// First in, first out, in one array that does not move its elements.
///
/// The `Deque` of swift-collections would cost the hot path a call into another module per job, to save these lines.
struct WaitingQueue {
    private var elements: [WaitingJob?] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }
    /// The jobs' ids.
    var jobs: [Int64] { elements[head...].compactMap { $0?.job.id } }

    mutating func append(_ job: WaitingJob) { elements.append(job) }

    mutating func popFirst() -> WaitingJob? {
        guard head < elements.count else { return nil }
        let job = elements[head]
        elements[head] = nil
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 1024, head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return job
    }
}
