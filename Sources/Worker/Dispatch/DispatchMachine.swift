import EventLoop

/// How many jobs to claim, when, and in which order: pure, told what happened and what time it is.
///
/// It claims for the free slots and, under load, a little ahead. Without that, batches are small, and the throughput
/// was 25 to 32% lower. After a crash, jobs claimed ahead wait until their outcome is settled, so they are never more
/// than a quarter of a second of work at the present rate.
struct DispatchMachine: Sendable {
    /// The order in which due jobs are taken.
    enum Order: Sendable, Equatable {
        case oldestFirst
        /// Overload: a code that arrives after its user gave up is worthless, so the newest go first.
        case newestFirst
    }

    /// What to do now.
    enum Decision: Sendable, Equatable {
        case claim(limit: Int, Order)
        /// Ask Twilio for something that changes nothing, to see whether an outage is over; call
        /// `connectivityCheckBegan` first.
        case connectivityCheck
        /// Nothing before this instant (nil: before something happens).
        case wait(until: Instant?)
        /// Draining, and nothing is left in hand.
        case finished
    }

    enum Phase: Sendable { case running, draining }

    static let ahead = Times.claimedAhead
    static let largestBatch = 512
    /// From the beginning of one batch of results to that of the next, unless `recordsAtOnce` have gathered.
    static let betweenRecords = Instant.Duration.milliseconds(10)
    static let recordsAtOnce = 256
    /// A due job that waited this long, in a full batch, means overload.
    static let overloadAge = Instant.Duration.seconds(5)

    /// What is known of the database.
    struct Database: Sendable {
        /// Whether there is a connection to claim with.
        var canClaim = false
        /// Whether there is a connection to record results with. Without one, nothing is claimed.
        var canRecord = false
        /// Whether the last heartbeat could be written.
        var isHeard = true
        /// Results that are not in the database yet. Beyond a bound nothing is claimed: memory is bounded, and a crash
        /// would make each of them an unknown outcome.
        var unsaved = 0
    }

    var schedule: ClaimSchedule
    private(set) var pause = PauseMachine()
    private var bucket: TokenBucket?
    /// This worker's share of the rates that all workers share.
    var rates: SharedRates
    /// How many requests Twilio accepts, learned from its answers.
    var throttle: ThrottleMachine
    private let maxInFlight: Int
    private var phase = Phase.running
    private var order = Order.oldestFirst
    private var rate = RateEstimate()
    /// Whether the database can take what a claim leads to.
    var database = Database()
    /// Whether everything is paused by hand: nothing is claimed, nothing handed over.
    private(set) var isHalted = false
    /// When the last batch of results was begun.
    private var recordedAt: Instant?

    /// Requests under way.
    private(set) var inFlight = 0
    /// Jobs claimed and not handed over yet. Rate-limited jobs do not count, because they hold up no claim.
    private(set) var waiting = 0
    /// Jobs whose numbers are being looked up. They do not count as waiting, because they hold up no claim.
    private(set) var checking = 0

    init(maxInFlight: Int, ratePerSecond: Double?, now: Instant) {
        self.maxInFlight = maxInFlight
        bucket = ratePerSecond.map { TokenBucket(perSecond: $0, now: now) }
        rates = SharedRates(now: now)
        throttle = ThrottleMachine(maxInFlight: maxInFlight, now: now)
        schedule = ClaimSchedule(now: now)
    }

    /// Jobs that were claimed and whose attempts have not ended.
    var inHand: Int { inFlight + waiting + rates.rateLimited + checking }

    var isDraining: Bool { phase == .draining }

    /// Whether requests that no code depends on may be made: everything works, and Twilio takes all that is sent.
    var allowsFeedback: Bool {
        phase == .running && !isHalted && pause.reason == nil && !throttle.isThrottled
    }

    // MARK: Claims

    /// What to do now. After `.claim` call `claimBegan` and then `claimEnded`.
    mutating func decide(at now: Instant) -> Decision {
        switch phase {
        case .draining: return inHand == 0 ? .finished : .wait(until: nil)
        case .running: break
        }
        if isHalted { return .wait(until: nil) }
        let allowance = pause.allowance(at: now)
        if allowance == .connectivityCheck { return .connectivityCheck }
        guard database.canClaim, database.canRecord, database.isHeard,
            database.unsaved <= 2 * maxInFlight + Self.largestBatch, let look = schedule.next
        else {
            // An outage is checked whether or not a job is due.
            if pause.reason?.kind == .outage, case .none(let until) = allowance { return .wait(until: until) }
            return .wait(until: nil)
        }
        let room: Int
        switch allowance {
        case .none(let until): return .wait(until: until)
        case .connectivityCheck: room = 0  // Returned above.
        case .probe: room = inHand == 0 ? 1 : 0
        case .unbounded: room = self.room(at: now)
        }
        guard room > 0 else {
            // A token may make room; a busy slot or a probe under way gives its own signal when it ends.
            let token = [
                bucket?.nextToken(after: now), rates.nextClaim(after: now),
                throttle.next(inFlight: inFlight, after: now),
            ].compactMap { $0 }.max()
            return .wait(until: token.flatMap { $0 > now ? $0 : nil })
        }
        guard look <= now else { return .wait(until: look) }
        return .claim(limit: room, order)
    }

    private mutating func room(at now: Instant) -> Int {
        let ahead = min(Int(rate.perSecond(at: now) * Self.ahead.seconds), Self.largestBatch)
        // With slots free, any room is worth a claim; with all busy, half the ahead is, so that batches stay large.
        let slots = min(maxInFlight, throttle.concurrency)
        guard inFlight + waiting < slots || waiting <= ahead / 2 else { return 0 }
        var room = min(slots + ahead - inFlight - waiting, throttle.within(Self.ahead, of: now) - waiting)
        if !rates.isEmpty { room = min(room, rates.within(Self.ahead, of: now) - waiting) }
        if var spendable = bucket {
            // No more than there will be tokens for by then.
            room = min(room, spendable.within(Self.ahead, of: now) - waiting)
            bucket = spendable
        }
        return min(max(room, 0), Self.largestBatch)
    }

    mutating func claimBegan(at now: Instant) {
        schedule.looked(at: now)
        pause.probeTaken()
    }

    /// A claim has been answered: `count` jobs to send, and `ended` more that ended within it, of `limit`. The longest wait
    /// among those to send is `oldestAge`.
    mutating func claimEnded(
        count: Int, ended: Int = 0, limit: Int, oldestAge: Instant.Duration, at now: Instant, jitter: Double
    ) -> PauseMachine.Change {
        waiting += count
        let isFull = count + ended >= limit
        schedule.found(count + ended, isFull: isFull, at: now, jitter: jitter)
        switch order {
        case .oldestFirst: if isFull, oldestAge > Self.overloadAge { order = .newestFirst }
        case .newestFirst: if !isFull { order = .oldestFirst }
        }
        return count == 0 ? probeInconclusive(at: now) : .none
    }

    /// A claim failed: the look has to be repeated, not before `retryAt`.
    mutating func claimFailed(at now: Instant, retryAt: Instant) -> PauseMachine.Change {
        schedule.hold(until: retryAt)
        return probeInconclusive(at: now)
    }

    mutating func connectivityCheckBegan() { pause.connectivityCheckBegan() }

    /// A connectivity check has ended; answered, it is followed by one job as a probe.
    mutating func connectivityCheckEnded(isAnswered: Bool, at now: Instant) {
        pause.connectivityCheckEnded(isAnswered: isAnswered, at: now)
        if isAnswered { schedule.wake(at: now) }
    }

    // MARK: Sends

    /// Whether the next waiting job may be handed over now, or a rate-limited one whose sender's turn it is.
    mutating func mayHandOver(at now: Instant) -> Bool {
        guard waiting + rates.rateLimited > 0, inFlight < maxInFlight, !isHalted else { return false }
        if let token = bucket?.nextToken(after: now), token > now { return false }
        // A probe is one job, so it does not wait for the worker's share of a rate.
        guard pause.isProbing || rates.next(after: now) ?? .init(nanoseconds: .max) <= now else { return false }
        return throttle.mayHandOver(inFlight: inFlight, at: now)
    }

    /// When a job that waits only for a token may go; nil when nothing waits, or a request has to end first.
    mutating func nextToken(after now: Instant) -> Instant? {
        guard waiting + rates.rateLimited > 0, inFlight < maxInFlight, !isHalted,
            var turn = throttle.next(inFlight: inFlight, after: now), let share = rates.next(after: now)
        else {
            return nil
        }
        turn = max(turn, share)
        if let own = bucket?.nextToken(after: now) { turn = max(turn, own) }
        return waiting > 0 ? turn : rates.nextRelease(after: now).map { max(turn, $0) }
    }

    /// A waiting job has been handed over, to be sent from `sender`: takes its tokens.
    mutating func handedOver(from sender: String, at now: Instant) {
        waiting -= 1
        inFlight += 1
        _ = bucket?.take(at: now)
        throttle.handedOver(at: now)
        rates.sent(from: sender, at: now)
    }

    /// Whether the sender's rate lets the job go that was just taken from the waiting ones. A rate-limited job does not
    /// count as waiting from now on. A job that is to be given back does, until it is dropped.
    mutating func turn(of sender: String, at now: Instant) -> SharedRates.Turn {
        if pause.isProbing { return .now }
        let turn = rates.turn(of: sender, at: now)
        if turn == .soon { waiting -= 1 }
        return turn
    }

    /// A rate-limited job is taken up again.
    mutating func released(_ sender: String) {
        rates.released(sender)
        waiting += 1
    }

    /// A waiting job's number is being looked up.
    mutating func checkBegan() {
        waiting -= 1
        checking += 1
    }

    /// That has ended: the job waits again.
    mutating func checkEnded() {
        checking -= 1
        waiting += 1
    }

    /// A waiting job ended without being handed over (given back, refused, expired): as a probe it told nothing.
    mutating func dropped(at now: Instant) -> PauseMachine.Change {
        waiting -= 1
        return probeInconclusive(at: now)
    }

    /// A request has ended, one way or another.
    mutating func sendEnded(at now: Instant) {
        inFlight -= 1
        rate.count(at: now)
    }

    /// See `PauseMachine.probeNow`.
    mutating func probeNow(at now: Instant) {
        pause.probeNow(at: now)
        schedule.wake(at: now)
    }

    mutating func paused(_ reason: PauseMachine.Reason, at now: Instant) -> PauseMachine.Change {
        pause.pause(reason, at: now)
    }

    /// Twilio answered 429 or the like to a request that was handed over at `handedOverAt`, as one of `concurrency` under
    /// way. See `ThrottleMachine.throttled`.
    mutating func throttled(
        handedOverAt: Instant, concurrency: Int, retryAfter: Instant.Duration?, seen: Int?, at now: Instant
    ) -> PauseMachine.Change {
        let takesNothing = throttle.throttled(
            handedOverAt: handedOverAt, concurrency: concurrency, retryAfter: retryAfter, seen: seen, at: now)
        return woken(pause.throttled(retryAfter: retryAfter, takesNothing: takesNothing, at: now), at: now)
    }

    /// A send did not reach Twilio. One alone says little; several in a row are an outage.
    mutating func unreachable(_ reason: PauseMachine.Reason, at now: Instant) -> PauseMachine.Change {
        woken(pause.unreachable(reason, at: now), at: now)
    }

    /// No file descriptor was free for a connection. While other requests are under way, fewer go at a time from now
    /// on, and this is no outage. Returns whether that is so.
    mutating func noDescriptor(at now: Instant) -> Bool {
        guard inFlight > 0 else { return false }
        throttle.noDescriptor(concurrency: inFlight, at: now)
        return true
    }

    mutating func reachedTwilio(at now: Instant) -> PauseMachine.Change {
        woken(pause.reachedTwilio(at: now), at: now)
    }

    /// The probe told nothing about the pause.
    mutating func probeInconclusive(at now: Instant) -> PauseMachine.Change {
        woken(pause.probeInconclusive(at: now), at: now)
    }

    /// After a pause it looks for due jobs at once.
    private mutating func woken(_ change: PauseMachine.Change, at now: Instant) -> PauseMachine.Change {
        switch change {
        case .resumed:
            throttle.pauseEnded(at: now)
            rates.joins(at: now)
            schedule.wake(at: now)
        case .none, .paused: break
        }
        return change
    }

    /// Everything was paused by hand. Requests under way run to completion.
    mutating func halt() { isHalted = true }

    /// The pause of everything has ended: it looks for due jobs at once.
    mutating func resume(at now: Instant) {
        isHalted = false
        throttle.pauseEnded(at: now)
        rates.joins(at: now)
        schedule.wake(at: now)
    }

    /// The pause of a country or a prefix has ended: the jobs that it held are due. If no request is under way, it is
    /// unknown how many Twilio accepts now.
    mutating func partResumed(at now: Instant) {
        if inFlight == 0 { throttle.pauseEnded(at: now) }
        schedule.wake(at: now)
    }

    // MARK: Ends

    /// Until when `count` results wait before they are recorded; nil: no longer. A lone result does not wait. Under
    /// load, a batch follows the last one after a moment. No user waits for that, and at 1,000 sends a second it saves
    /// the server nine of ten statements.
    func recordsWait(count: Int, at now: Instant) -> Instant? {
        guard let recordedAt, count < Self.recordsAtOnce, phase == .running else { return nil }
        let next = recordedAt + Self.betweenRecords
        return now < next ? next : nil
    }

    /// A batch of results is being recorded.
    mutating func recordsBegan(at now: Instant) { recordedAt = now }

    /// Stops claiming. It is finished when the jobs in hand have ended.
    mutating func drain() { phase = .draining }
}

/// Sends per second, over the last second or two. Pure.
struct RateEstimate: Sendable {
    private var windowStart: Instant?
    private var count = 0
    private var last = 0.0

    mutating func count(at now: Instant) {
        roll(at: now)
        count += 1
    }

    mutating func perSecond(at now: Instant) -> Double {
        roll(at: now)
        guard let windowStart else { return 0 }
        // Early in a window, the last window counts more. The first tenth of a second counts as a whole tenth.
        let span = (now - windowStart).seconds
        return max(last * (1 - span), Double(count) / max(span, 0.1))
    }

    private mutating func roll(at now: Instant) {
        guard let start = windowStart else {
            windowStart = now
            return
        }
        let span = (now - start).seconds
        guard span >= 1 else { return }
        last = span < 2 ? Double(count) / span : 0
        count = 0
        windowStart = now
    }
}
