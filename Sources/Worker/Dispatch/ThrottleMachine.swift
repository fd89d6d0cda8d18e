import EventLoop

/// How many requests may be at Twilio at a time, and how fast they may follow each other, learned from its answers. Pure.
///
/// Twilio says 429 both when too many requests are under way and when they follow each other too fast, and names neither
/// limit. So both are learned: the window (requests at a time) or the pace (requests per second) shrinks at a 429 and
/// grows again while there is none: additive increase, multiplicative decrease. Which of them it was shows in what has
/// just been taken: a request refused though more were under way when others were taken came too fast. A decrease counts
/// once for all that was under way when it happened. The window begins small and doubles with each round trip, so that
/// neither a start nor the end of a pause is a stampede: at the start with a quarter of what the operator allows, and
/// after a pause, when nothing is known of Twilio, with `leastWindow`.
struct ThrottleMachine: Sendable {
    static let leastWindow = 16.0
    static let firstShare = 0.25
    /// The shortest time in which the window doubles, however short a round trip is. Otherwise it would be wide open
    /// before the first 429.
    static let doubling = Instant.Duration.milliseconds(25)
    /// The factor by which a 429 shrinks the window.
    static let windowFactor = 0.95
    /// How long what was taken at a time proves that the window was not too large.
    static let proof = Instant.Duration.seconds(10)
    /// The share of the pace that Twilio just accepted that is left after a 429.
    static let paceFactor = 0.975
    /// After a decrease the pace stands still for so long, then grows by `slowGrowth` a second. Until a 429 has shown
    /// where the limit is it grows by `searchGrowth` after a second, and where none has come for `quiet`, by
    /// `fastGrowth`: the limit must have gone up. After `forget` there is none.
    static let standstill = Instant.Duration.seconds(5)
    static let firstStandstill = Instant.Duration.seconds(1)
    /// A 429 so soon after a decrease means that Twilio's limit is used up for now.
    static let soon = Instant.Duration.seconds(1)
    static let slowGrowth = 0.003
    static let searchGrowth = 0.2
    static let quiet = Instant.Duration.seconds(60)
    static let fastGrowth = 0.1
    static let forget = Instant.Duration.seconds(300)
    /// The time in which the window grows by one, once a 429 has shown its limit.
    static let windowStep = Instant.Duration.seconds(2)
    /// The share of a second's requests that may follow each other at once: few, since a limit per second is met at its
    /// edges too, and not one alone, since then a timer that is a millisecond late loses its tokens.
    static let burst = 0.04
    /// The time over which accepted requests are counted.
    static let memory = Instant.Duration.seconds(1)
    static let sustainedMemory = Instant.Duration.seconds(5)
    /// Below this share of the best pace so far, the pace is searched for again.
    static let farBelow = 0.7
    /// A search grows by so many requests a second at least.
    static let leastSearch = 2.0
    /// A longer hold becomes a pause, which operators can see.
    static let longestHold = Instant.Duration.seconds(5)
    /// This many 429s in a row, over `stall` without an accepted request, mean that Twilio accepts nothing for now.
    static let refusalsInARow = 8
    static let stall = Instant.Duration.seconds(2)

    /// How many requests may be under way.
    private struct Window: Sendable {
        let most: Double
        var size: Double
        /// No 429 yet since the start, a pause, or `forget`: it doubles with each round trip.
        var isSlowStart = true
        /// When the first answer of that came, and the size that it began with.
        var slowStartAt: Instant?
        var slowStartSize: Double
        var grownAt: Instant
    }

    /// The requests that Twilio accepted and refused.
    private struct Past: Sendable {
        /// When a request was last taken; the 429s since, and when the first of them came.
        var takenAt: Instant?
        var refusals = 0
        var refusedSince: Instant?
        var taken = RecentCount(over: memory)
        /// The same over `sustainedMemory`, and the most that there has been: the pace may not stay far below what was
        /// taken before a storm of 429s that said nothing of any limit.
        var sustained = RecentCount(over: sustainedMemory)
        var best = 0.0
        /// The most requests at a time of which one was lately taken.
        var proven = (concurrency: 0, at: Instant(nanoseconds: 0))
    }

    private var window: Window
    private var past = Past()
    private var bucket: TokenBucket?
    /// Requests per second; nil before the first 429.
    private(set) var pace: Double?
    /// Whether a 429 came while requests followed each other at the pace: the limit is about there.
    private var isPaceFound = false
    private var throttledAt: Instant?
    private var grownAt: Instant
    /// What was handed over before this says nothing new.
    private var decreasedAt: Instant?
    /// Even the lowered pace was too fast: nothing before this.
    private var heldUntil: Instant?

    /// At most `maxInFlight` requests at a time.
    init(maxInFlight: Int, now: Instant) {
        let most = Double(maxInFlight)
        let size = min(max(Self.leastWindow, most * Self.firstShare), most)
        window = Window(most: most, size: size, slowStartSize: size, grownAt: now)
        grownAt = now
    }

    /// Requests at a time now.
    var concurrency: Int { max(1, Int(window.size)) }

    /// Whether a 429 has slowed requests down, and is not forgotten yet.
    var isThrottled: Bool { throttledAt != nil }

    /// For the status row.
    var words: String {
        guard isThrottled else { return "answering" }
        let most = "throttled: at most \(concurrency) requests at a time"
        return pace.map { "\(most), \(Int($0.rounded())) a second" } ?? most
    }

    /// Whether one more request may be handed over.
    mutating func mayHandOver(inFlight: Int, at now: Instant) -> Bool {
        guard inFlight < concurrency, isReleased(at: now) else { return false }
        grow(at: now)
        return bucket?.nextToken(after: now) ?? now <= now
    }

    /// A request has been handed over: takes its token.
    mutating func handedOver(at now: Instant) { _ = bucket?.take(at: now) }

    /// When a request that waits only for its turn may go: now, or later; nil when it waits for another one to end.
    mutating func next(inFlight: Int, after now: Instant) -> Instant? {
        guard inFlight < concurrency else { return nil }
        let free = heldUntil.map { max($0, now) } ?? now
        return bucket?.nextToken(after: free) ?? free
    }

    /// How many requests may be begun within `span`.
    mutating func within(_ span: Instant.Duration, of now: Instant) -> Int {
        guard isReleased(at: now) else { return 0 }
        return bucket?.within(span, of: now) ?? .max
    }

    /// Twilio took a request, whether or not it accepted the message; `concurrency` were under way when it was handed
    /// over, with it.
    mutating func answered(concurrency: Int, at now: Instant) {
        past.takenAt = now
        past.refusals = 0
        past.refusedSince = nil
        past.taken.add(at: now)
        past.sustained.add(at: now)
        past.best = max(past.best, past.sustained.perSecond(at: now))
        if concurrency >= past.proven.concurrency || now - past.proven.at > Self.proof {
            past.proven = (concurrency, now)
        }
        if window.isSlowStart {
            let begin = window.slowStartAt ?? now
            window.slowStartAt = begin
            let doublings = min(16, (now - begin).nanoseconds / Self.doubling.nanoseconds)
            window.size = min(
                window.most, window.size + 1, max(window.size, window.slowStartSize * Double(2 << doublings)))
        } else if now - window.grownAt >= Self.windowStep {
            window.size = min(window.most, window.size + 1)
            window.grownAt = now
        }
    }

    /// Twilio answered 429 to a request handed over at `handedOverAt`, as one of `concurrency` under way.
    ///
    /// `retryAfter` is what Twilio asked to wait. `seen` is how many requests Twilio saw at a time
    /// (`Twilio-Concurrent-Requests`): if far fewer than the window, the window is not the cause. Returns whether
    /// Twilio accepts nothing at all for now, so that this worker has to pause.
    mutating func throttled(
        handedOverAt: Instant, concurrency: Int, retryAfter: Instant.Duration?, seen: Int?, at now: Instant
    ) -> Bool {
        past.refusals += 1
        let since = past.refusedSince ?? now
        past.refusedSince = since
        slowDown(handedOverAt: handedOverAt, concurrency: concurrency, retryAfter: retryAfter, seen: seen, at: now)
        if let retryAfter, retryAfter > Self.longestHold, past.takenAt.map({ now - $0 >= Self.stall }) ?? true {
            return true
        }
        return past.refusals >= Self.refusalsInARow && now - since >= Self.stall
    }

    /// No file descriptor was free beyond the `concurrency` connections that there are. The window shrinks to those,
    /// and grows as slowly as after a 429.
    mutating func noDescriptor(concurrency: Int, at now: Instant) {
        window.isSlowStart = false
        window.size = max(1, min(window.size, Double(concurrency)))
        window.grownAt = now
    }

    private mutating func slowDown(
        handedOverAt: Instant, concurrency: Int, retryAfter: Instant.Duration?, seen: Int?, at now: Instant
    ) {
        let before = throttledAt
        throttledAt = now
        window.isSlowStart = false
        if let decreasedAt, handedOverAt <= decreasedAt { return }
        let isSoonAgain = decreasedAt.map { now - $0 <= Self.soon } ?? false
        decreasedAt = now
        window.grownAt = now
        let wasTaken =
            now - past.proven.at <= Self.proof && Double(concurrency) <= 0.8 * Double(past.proven.concurrency)
        let isTooFast = concurrency <= 2 || wasTaken || seen.map { Double($0) * 2 < window.size } ?? false
        guard isTooFast else {
            window.size = max(1, min(window.size, Double(concurrency)) * Self.windowFactor)
            return
        }
        // The first time, and when the lowered pace is refused too, all requests wait for as long as Twilio asks, up to
        // a bound.
        if pace == nil || isSoonAgain, let retryAfter {
            heldUntil = max(heldUntil ?? now, now + min(retryAfter, Self.longestHold))
        }
        let took = past.taken.perSecond(at: now)
        isPaceFound = pace.map { took >= 0.8 * $0 } ?? false
        // If the limit has come down, the best pace so far is forgotten: by half in a minute.
        past.best *= 1 - min((before.map { now - $0 } ?? .seconds(0)).seconds, 5) / 86
        set(pace: max(min(max(took, 1), pace ?? .infinity) * Self.paceFactor, 0.5), at: now)
    }

    /// A pause has ended: nothing is known of how much Twilio takes now, so it begins carefully.
    mutating func pauseEnded(at now: Instant) {
        window.size = min(window.size, Self.leastWindow)
        beginSlowStart()
        window.grownAt = now
    }

    private mutating func beginSlowStart() {
        window.isSlowStart = true
        window.slowStartAt = nil
        window.slowStartSize = max(window.size, Self.leastWindow)
    }

    private mutating func isReleased(at now: Instant) -> Bool {
        guard let until = heldUntil else { return true }
        guard now >= until else { return false }
        heldUntil = nil
        return true
    }

    private mutating func grow(at now: Instant) {
        guard let pace, let throttledAt else { return }
        let calm = now - throttledAt
        if calm >= Self.forget {
            self.pace = nil
            self.throttledAt = nil
            decreasedAt = nil
            bucket = nil
            beginSlowStart()
            isPaceFound = false
            past.best = 0
            return
        }
        let step = now - grownAt
        let isSearching = !isPaceFound || pace < Self.farBelow * past.best
        guard calm >= (isSearching ? Self.firstStandstill : Self.standstill), step >= .milliseconds(200) else { return }
        let growth = isSearching ? Self.searchGrowth : calm >= Self.quiet ? Self.fastGrowth : Self.slowGrowth
        let least = isSearching ? Self.leastSearch : 0.05
        set(pace: pace + max(pace * growth, least) * min(step.seconds, 1), at: now)
    }

    private mutating func set(pace: Double, at now: Instant) {
        self.pace = pace
        grownAt = now
        if bucket == nil {
            bucket = TokenBucket(perSecond: pace, burst: Self.burst, now: now)
        } else {
            bucket?.change(to: pace, at: now)
        }
    }
}

/// Counts over the last `span`, in tenths of it. Pure.
struct RecentCount: Sendable {
    private let span: Instant.Duration
    /// The current tenth and the ten before it.
    private var counts = [Int](repeating: 0, count: 11)
    private var current: Int64 = 0

    init(over span: Instant.Duration) { self.span = span }

    mutating func add(at now: Instant) {
        roll(at: now)
        counts[Int(current % 11)] += 1
    }

    /// Per second: over the ten tenths that are over, or the last nine of them and the one that has begun.
    mutating func perSecond(at now: Instant) -> Double {
        roll(at: now)
        let (all, begun) = (counts.reduce(0, +), counts[Int(current % 11)])
        return Double(all - min(begun, counts[Int((current + 1) % 11)])) / span.seconds
    }

    private mutating func roll(at now: Instant) {
        let index = now.nanoseconds / (span.nanoseconds / 10)
        guard index > current else { return }
        for passed in max(current + 1, index - 10)...index { counts[Int(passed % 11)] = 0 }
        current = index
    }
}
