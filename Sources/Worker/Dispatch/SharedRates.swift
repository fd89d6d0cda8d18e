import EventLoop

/// This worker's part of what all workers may send in a second: of everything (`otp.settings.sends_per_second`) and of
/// single senders (`otp.sender_rates`). Pure.
///
/// Each worker takes a rate ÷ the workers that run. A worker takes less at once, and more only after `settle`. By then
/// the others know of the change too, and take less, so that the sum stays within the rate while workers come and go.
/// For the same reason, a worker that starts, or resumes after a pause, begins with nothing.
struct SharedRates: Sendable {
    /// How long the other workers need to learn of a change. NOTIFY takes some milliseconds, and a heartbeat that is
    /// under way then takes as long as a statement.
    static let settle = Instant.Duration.seconds(1)

    /// What a job whose sender has a rate does now.
    enum Turn: Sendable, Equatable {
        case now
        /// It is held in hand: its token comes within what is claimed ahead.
        case soon
        /// It goes back to the queue for so long, and lets the jobs of other senders pass.
        case later(Instant.Duration)
    }

    /// The tokens of one sender, and until when they are given out.
    private struct Lane: Sendable {
        var rate: Double
        var bucket: TokenBucket?
        var rateLimited = 0
        /// When the last job that went back is due.
        var tail = Instant(nanoseconds: 0)
        var lastTaken = Instant(nanoseconds: 0)
    }

    private var total: (rate: Double, bucket: TokenBucket?)?
    private var lanes: [String: Lane] = [:]
    /// The senders that messages can go from; empty if a message may have any sender.
    private var sendersInUse: Set<String> = []
    /// Among how many workers rates are divided, this one counted; nil until it is known.
    private var workers: Int?
    /// The last count, from when on it counts.
    private var coming: (workers: Int, at: Instant)?
    /// Nothing before this: the others do not know yet that this worker sends.
    private var joinsAt: Instant

    init(now: Instant) { joinsAt = now + Self.settle }

    /// Whether there is any rate.
    var isEmpty: Bool { total == nil && lanes.isEmpty }

    /// Whether any sender has a rate.
    var hasSenders: Bool { !lanes.isEmpty }

    /// A sender's rate, all workers together; 0 where it has none.
    func rate(of sender: String) -> Double { lanes[sender]?.rate ?? 0 }

    /// Rate-limited jobs in hand; also those whose sender's rate was removed.
    private(set) var rateLimited = 0

    // MARK: What it is told

    /// The rates as the database has them, and the senders that messages can go from.
    mutating func read(
        total rate: Double?, senders: [String: Double], inUse: Set<String>, at now: Instant
    ) {
        advance(to: now)
        sendersInUse = inUse
        total = rate.map { (rate: $0, bucket: total?.bucket) }
        lanes = Dictionary(
            uniqueKeysWithValues: senders.map { sender, rate in
                var lane = lanes[sender] ?? Lane(rate: rate)
                // Turns given out at the old rate do not count: the database gives them out again at the new one.
                if lane.rate != rate { lane.tail = now }
                lane.rate = rate
                return (sender, lane)
            })
        share(at: now)
    }

    /// The number of other workers that run.
    mutating func counted(others: Int, at now: Instant) {
        advance(to: now)
        let all = others + 1
        if let workers, all < workers {
            let isAwaited = coming.map { all >= $0.workers } ?? false
            coming = (all, isAwaited ? coming?.at ?? now : now + Self.settle)
        } else {
            coming = nil
            guard workers != all else { return }
            workers = all
            share(at: now)
        }
    }

    /// This worker begins, or begins again, to send.
    mutating func joins(at now: Instant) { joinsAt = now + Self.settle }

    // MARK: Everything

    /// Whether every send has a rate: before its share is known, nothing goes. Elsewhere only a sender's own jobs wait.
    private var boundsAll: Bool { total != nil || areAllLimited }

    /// When one more may be sent; nil while it is not known how many workers there are.
    mutating func next(after now: Instant) -> Instant? {
        guard boundsAll else { return now }
        advance(to: now)
        let from = max(now, joinsAt)
        guard workers != nil else { return nil }
        return total == nil ? from : total?.bucket?.nextToken(after: from)
    }

    /// How many may be claimed for `span`.
    ///
    /// Where all senders have a rate, what they may send together bounds it too: the other jobs stay in the queue and
    /// need not be given back.
    mutating func within(_ span: Instant.Duration, of now: Instant) -> Int {
        guard boundsAll else { return isEmpty ? .max : .max - rateLimited }
        advance(to: now)
        guard now >= joinsAt, workers != nil else { return 0 }
        var most = total?.bucket?.within(span, of: now) ?? .max
        if areAllLimited {
            var sum = 0
            for sender in sendersInUse { sum += lanes[sender]?.bucket?.within(span, of: now) ?? 0 }
            most = min(most, sum)
        }
        return most - rateLimited
    }

    /// When a claim may be worth while again, where `within` left no room; nil while that is not known.
    mutating func nextClaim(after now: Instant) -> Instant? {
        guard let until = next(after: now), areAllLimited else { return next(after: now) }
        let from = max(now, joinsAt)
        return sendersInUse.compactMap { lanes[$0]?.bucket?.next(after: from) }.min().map { max(until, $0) }
    }

    private var areAllLimited: Bool { !lanes.isEmpty && sendersInUse.allSatisfy { lanes[$0] != nil } }

    /// One was sent, from `sender`.
    mutating func sent(from sender: String, at now: Instant) {
        _ = total?.bucket?.take(at: now)
        guard !lanes.isEmpty else { return }
        _ = lanes[sender]?.bucket?.take(at: now)
        lanes[sender]?.lastTaken = now
    }

    // MARK: One sender

    /// Whether a job of `sender` may go now; else it is held in hand, or given back.
    mutating func turn(of sender: String, at now: Instant) -> Turn {
        guard !lanes.isEmpty else { return .now }
        advance(to: now)
        guard var lane = lanes[sender] else { return .now }
        defer { lanes[sender] = lane }
        guard var bucket = lane.bucket, now >= joinsAt else { return .later(Self.settle) }
        let interval = Instant.Duration(seconds: 1 / bucket.perSecond)
        if lane.rateLimited == 0, bucket.nextToken(after: now) <= now { return .now }
        if lane.rateLimited < bucket.within(Times.claimedAhead, of: now) {
            lane.rateLimited += 1
            rateLimited += 1
            return .soon
        }
        // Turns that no job took for a while are free again: those jobs have gone another way.
        if now - lane.lastTaken > .seconds(1) + interval + interval { lane.tail = now }
        let free = bucket.nextToken(after: now) + Instant.Duration(seconds: Double(lane.rateLimited) / bucket.perSecond)
        lane.tail = max(lane.tail + interval, free)
        // Jobs come back in groups, as many as can be held in hand then, so that each needs no claim of its own.
        let step = Times.claimedAhead.nanoseconds
        let due = Instant(nanoseconds: lane.tail.nanoseconds / step * step)
        return .later(max(due - now, .milliseconds(50)))
    }

    /// Whether the next rate-limited job of `sender` may go now.
    mutating func mayRelease(_ sender: String, at now: Instant) -> Bool {
        guard lanes[sender] != nil else { return true }
        advance(to: now)
        return now >= joinsAt && lanes[sender]?.bucket?.next(after: now) ?? now <= now
    }

    /// A rate-limited job of `sender` went, or was given back.
    mutating func released(_ sender: String) {
        rateLimited -= 1
        if let count = lanes[sender]?.rateLimited, count > 0 { lanes[sender]?.rateLimited -= 1 }
    }

    /// When the next rate-limited job has its token.
    mutating func nextRelease(after now: Instant) -> Instant? {
        guard rateLimited > 0 else { return nil }
        advance(to: now)
        let from = max(now, joinsAt)
        return lanes.values.lazy.filter { $0.rateLimited > 0 }.compactMap { $0.bucket?.next(after: from) }.min()
    }

    // MARK: In words

    /// For the status row; nil without rates.
    func words(at now: Instant) -> String? {
        guard !isEmpty else { return nil }
        guard let workers, now >= joinsAt else {
            return "waiting for its share of the rates in otp.settings and otp.sender_rates"
        }
        var parts: [String] = []
        if let total {
            parts.append(
                "limited by otp.settings.sends_per_second: \(Self.words(total.rate / Double(workers))) of "
                    + "\(Self.words(total.rate)) a second are this worker's")
        }
        let limited = lanes.sorted { $0.key < $1.key }.prefix(3).map { sender, lane in
            "\(sender) \(Self.words(lane.rate / Double(workers))) of \(Self.words(lane.rate))"
        }
        if !limited.isEmpty {
            let more = lanes.count > limited.count ? ", and \(lanes.count - limited.count) more" : ""
            parts.append("by otp.sender_rates: \(limited.joined(separator: ", "))\(more) a second")
        }
        return parts.joined(separator: "; ")
    }

    /// Up to two decimals.
    private static func words(_ rate: Double) -> String {
        let hundredths = Int((rate * 100).rounded())
        let (whole, rest) = (hundredths / 100, hundredths % 100)
        guard rest > 0 else { return "\(whole)" }
        return rest % 10 == 0 ? "\(whole).\(rest / 10)" : "\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }

    // MARK: Shares

    private mutating func advance(to now: Instant) {
        guard let next = coming, now >= next.at else { return }
        coming = nil
        workers = next.workers
        share(at: now)
    }

    private mutating func share(at now: Instant) {
        guard let workers else { return }
        if let rate = total?.rate { total?.bucket.change(to: rate / Double(workers), at: now) }
        for (sender, lane) in lanes { lanes[sender]?.bucket.change(to: lane.rate / Double(workers), at: now) }
    }
}

extension TokenBucket? {
    /// Another rate, or the first.
    fileprivate mutating func change(to rate: Double, at now: Instant) {
        guard self != nil else {
            self = TokenBucket(perSecond: rate, now: now)
            return
        }
        self?.change(to: rate, at: now)
    }
}

extension TokenBucket {
    /// As `nextToken`, of a copy.
    fileprivate func next(after now: Instant) -> Instant {
        var copy = self
        return copy.nextToken(after: now)
    }
}
