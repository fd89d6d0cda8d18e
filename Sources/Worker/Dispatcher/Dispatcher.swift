import EventLoop
import HTTP
import Logging
import OTP
import Postgres
import Queue
import Twilio

/// The heart of a worker: claims jobs, hands them to Twilio, and writes down what became of them.
///
/// Asynchronous by the batch (`claimLoop`, `recordLoop`), plain calls by the send (`Dispatcher+Send.swift`): on the loop's
/// thread all along, so that nothing hops between a claim's answer and the POST. What to do is decided by
/// `DispatchMachine`; this performs it.
actor Dispatcher {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let http: HTTPClient
    /// Where messages are created, with the credentials in force.
    private(set) var messages: HTTP.Endpoint
    /// Since when they are in force.
    private(set) var credentialsSince = Instant(nanoseconds: 0)
    let twilio: TwilioReader
    private let keys: CodeKeys
    let appName: [UInt8]
    let log: Logger

    var machine: DispatchMachine
    /// Where claims begin.
    private(set) var lowWater = LowWaterMark()
    var waiting = WaitingQueue()
    /// By sender: what waits in hand for its turn, soon.
    var parked: [String: WaitingQueue] = [:]
    /// By tag: what is at Twilio now.
    var sending: [WaitingJob?] = []
    var freeTags: [Int] = []
    /// Jobs in hand whose earlier claim was lost with its worker: one at a time (`Claim`).
    var quarantined = 0
    var body: [UInt8] = []

    var templates = TemplateSet([])
    var senders: CountrySenders
    /// Operators changed texts, senders or classes: the next heartbeat reads them.
    private(set) var isCatalogStale = false
    var rule = DispositionRule(classes: .none)
    /// What is not sent for now: the rows of `otp.pauses`, and what this worker is about to write there.
    var pauses = Pauses()
    var pausesToBegin: [Pause] = []
    var pausesToEnd: [String] = []
    /// When a probe of a pause may be due.
    var nextProbe: Instant?
    /// A probe may be due earlier than was thought.
    let probes: Latch
    var random = JitterGenerator()

    /// What this process has handed to Twilio, whatever the database remembers of it.
    var handedOver = HandedOver()
    /// Which server the session that claims is on; nil where it does not say.
    private(set) var server: ServerInstance?
    /// The session that claims has come to another server: what this worker knows is written there before it claims.
    var mustReassert = false
    /// No claim before this: other workers write what they know.
    private var claimsHeldUntil: Instant?
    /// Since when the session that writes ends is up. A place that a claim told before says nothing to it.
    private(set) var recordsSince = Instant(nanoseconds: 0)

    var accepted: FinishAccepted
    var unsent = FinishUnsent()
    /// The claim loop has ended: no claim is on its way whose jobs would have to be given back.
    private(set) var hasStoppedClaiming = false
    /// Results that are being recorded, and those that the database does not take yet.
    var recorder = RecordMachine<SendResults>()
    /// Why results cannot be recorded, while there are such.
    var recordTrouble: String?
    var unrecordedThrottle = LogThrottle()
    /// Results that the next such line counts, beside one for each time that it was not written.
    var unrecorded = 0
    /// When pauses that could not be written are tried again; nil while there are none.
    var pausesRetryAt: Instant?
    /// The database refuses them: a worker that leaves does not wait for them.
    var pausesAreRefused = false
    /// Jobs whose result was given up: they may have been sent, and so are not given back. The last thousand.
    var jobsUnwritten: [Int64] = []
    /// A claim's answer was lost: what it may have taken is looked for before the next claim.
    private var lostClaim: LostClaim?

    var counters = Counters()
    var latency = LatencyHistogram()
    var twilioState = "not used yet"

    /// Something changed that a claim may follow from.
    let changed: Latch
    /// There are ends to write.
    let ends: Latch
    /// The status row should say what changed.
    private let beats: Latch
    /// When the loops next have something to do.
    private var agenda = Agenda()
    /// By errand: the agenda has changed, or the errand is wanted now.
    private let errands: [Latch]
    /// By errand: wanted now, whatever the agenda says.
    private var isWanted = [Bool](repeating: false, count: Agenda.Errand.allCases.count)
    private var tokenTimer: (id: TimerID, due: Instant)?
    /// The worker's number, from its first connection.
    private(set) var worker: Int64?
    /// Since when this worker knows that everything is paused.
    var haltedAt: Instant?
    private var quiet = QuietErrors()
    private var beatErrors = QuietErrors()
    /// What can happen a thousand times a second is said once a second, with its count.
    var unknowns = LogThrottle()
    var alerts = LogThrottle()
    var sealedOtherwise = LogThrottle()
    var recognised = LogThrottle()
    var pauseErrors = LogThrottle()
    var noDescriptors = LogThrottle(every: .seconds(60))
    /// Why fewer requests go at a time than the settings allow, where that is so.
    private let windowNote: String?

    init(
        _ configuration: WorkerConfiguration, http: HTTPClient, messages: HTTP.Endpoint, twilio: TwilioReader,
        on loop: EventLoop, log: Logger
    ) {
        self.loop = loop
        self.http = http
        self.messages = messages
        self.twilio = twilio
        self.log = log
        keys = configuration.keys
        senders = CountrySenders(standard: configuration.sender, statusCallback: configuration.statusCallback)
        accepted = FinishAccepted(
            sparedPolls: configuration.statusCallback == nil ? 0 : FinishAccepted.sparedByCallbacks)
        appName = Array(configuration.appName.utf8)
        windowNote = configuration.windowNote
        machine = DispatchMachine(
            maxInFlight: configuration.maxInFlight, ratePerSecond: configuration.ratePerSecond, now: .now())
        changed = Latch(on: loop)
        ends = Latch(on: loop)
        beats = Latch(on: loop)
        errands = Agenda.Errand.allCases.map { _ in Latch(on: loop) }
        probes = Latch(on: loop)
    }

    /// Ends that are not in the database yet.
    var unsaved: Int { accepted.count + unsent.count + recorder.count }

    /// What would be left behind if the worker left now.
    var leftOvers: (inFlight: Int, unsaved: Int) { (machine.inFlight, unsaved) }

    // MARK: What it is told

    /// Starts to listen to the HTTP client; once, before the loops.
    func prepare() {
        http.onCompletions { [weak self] completions in
            self?.assumeIsolated { $0.completed(completions) }
        }
    }

    /// The worker's number, from its first connection.
    func registered(as worker: Int64) {
        self.worker = worker
        beats.signal()
        ends.signal()
    }

    /// The connection that claims is there and listens, or has gone.
    func claims(areUp isUp: Bool) {
        machine.canClaim = isUp
        machine.schedule.isListening = isUp
        if isUp {
            let now = Instant.now()
            machine.schedule.wake(at: now)
            // The others may have done without this worker meanwhile: they hear of it by its heartbeat.
            machine.rates.joins(at: now)
            beats.signal()
        }
        changed.signal()
    }

    /// The session that claims has reached `server` (nil: it does not say which one it is). On another one than before, what
    /// this worker knows may be missing. After a promotion, other workers get a moment to write what they know.
    func reached(_ server: ServerInstance?) {
        if worker != nil, server == nil || server != self.server { mustReassert = true }
        if let server, let last = self.server, server.timeline != last.timeline, machine.schedule.workers.all > 1 {
            claimsHeldUntil = .now() + Times.reassertion
        }
        self.server = server
    }

    /// The connection that writes ends is there, or has gone.
    func records(areUp isUp: Bool) {
        machine.canRecord = isUp
        recordsSince = .now()
        accepted.forgetPlaces()
        recorder.forgetPlaces()
        changed.signal()
    }

    /// Texts, error classes, senders by country, pauses and rates as they are now. Rows that can't be used are said; they cost
    /// their own jobs and no others.
    func catalog(_ rows: LoadCatalog.Rows) {
        templates = TemplateSet(rows.templates, keeping: templates)
        senders.read(rows.senders)
        for row in senders.badRows {
            log.error(
                "a country's sender can't be used: its jobs wait",
                metadata: [LogKeys.error: "\(row)", LogKeys.remedy: "\(CountrySenders.BadRow.remedy)"])
        }
        rule.classes = ErrorClasses(rows.classes)
        machine.rates.read(total: rows.rate, senders: rows.senderRates, inUse: senders.inUse, at: .now())
        pausesRead(rows.pauses, nextProbe: rows.nextProbe)
        for row in templates.badRows {
            log.error(
                "a text can't be used; the one before is kept, if there was one", metadata: [LogKeys.error: "\(row)"])
        }
        if let problem = rule.classes.problem {
            log.error(
                "error classes can't be used; their codes count as unknown", metadata: [LogKeys.error: "\(problem)"])
        }
        pump()
    }

    /// Whether the catalog should be read now; what changes while they are being read counts again.
    func takeStaleCatalog() -> Bool {
        defer { isCatalogStale = false }
        return isCatalogStale
    }

    /// The catalog has changed, or a job wants a text that is not known: the next heartbeat, which is now, reads it.
    func catalogChanged() {
        isCatalogStale = true
        beats.signal()
    }

    /// A NOTIFY: jobs may be due, or the catalog has changed.
    func notified(_ notification: Postgres.Notification) {
        if notification.channel == LoadCatalog.channel { return catalogChanged() }
        machine.schedule.notified(draw: Int(notification.payload), at: .now())
        changed.signal()
    }

    /// Whether the worker's row could be written; said once, and while it can't nothing is claimed.
    func heartbeat(hasError error: PostgresError?) {
        machine.isHeard = error == nil
        if let error, beatErrors.isNew(error) {
            log.error(
                "the worker's status can't be written; nothing is claimed", metadata: [LogKeys.error: "\(error)"])
        }
        if error == nil { beatErrors.succeeded() }
        changed.signal()
    }

    /// What the heartbeat found.
    func heard(_ answer: Heartbeat.Answer) {
        let now = Instant.now()
        machine.schedule.isListening = answer.isListening
        machine.schedule.workers = (answer.before, answer.others + 1)
        if let nextDue = answer.nextDue { machine.schedule.expect(at: max(now, now + nextDue)) }
        machine.rates.counted(others: answer.others, at: now)
        agenda.heard(answer.findings, at: now)
        for latch in errands { latch.signal() }
        pump()
    }

    /// No further claims; what was claimed ahead goes back, what is at Twilio is waited for.
    func drain() {
        machine.drain()
        recorder.drain(at: .now())
        releaseWaiting()
        changed.signal()
        ends.signal()
        beats.signal()
    }

    // MARK: Claiming

    /// Claims until the worker has drained.
    func claimLoop(_ claims: Session) async {
        while !Task.isCancelled {
            if mustReassert, machine.canClaim { await reassert(claims) }
            let now = Instant.now()
            machine.unsaved = unsaved
            switch machine.decide(at: now) {
            case .finished:
                hasStoppedClaiming = true
                ends.signal()
                return
            case .wait(let until):
                await changed.wait(until: until)
            case .knock:
                machine.knockBegan()
                let isAnswered = await twilio.answers(within: Times.knock)
                machine.knockEnded(isAnswered: isAnswered, at: .now())
            case .claim(let limit, let order):
                machine.claimBegan(at: now)
                await claim(limit: limit, newestFirst: order == .newestFirst, claims)
            }
        }
    }

    private func claim(limit: Int, newestFirst: Bool, _ claims: Session) async {
        var server: ServerInstance?
        do {
            let connection = try await claims.connection(deadline: .now() + Times.statement)
            guard let worker else { return claimFailed(after: .milliseconds(100)) }
            server = self.server
            if mustReassert { return claimFailed(after: .seconds(0)) }
            if let lostClaim {
                try await settle(lostClaim, on: connection, worker)
                self.lostClaim = nil
            }
            if let until = claimsHeldUntil, until > .now() { return claimFailed(after: until - .now()) }
            claimsHeldUntil = nil
            let began = Instant.now()
            let scan = newestFirst ? .newestFirst : lowWater.scan(at: began)
            let claimed = try await Claim.run(
                on: connection, limit: limit, scan, quarantined: quarantined == 0,
                worker: worker, keys: keys, lease: Times.lease, deadline: began + Times.statement)
            let now = Instant.now()
            lowWater.claimed(scan, lowest: claimed.lowest, took: now - began, at: now)
            take(claimed, limit: limit, claimedAt: began)
            quiet.succeeded()
        } catch {
            switch error {
            case .server:
                // A refusal would repeat, so it is said once.
                if quiet.isNew(error) { log.error("jobs can't be claimed", metadata: [LogKeys.error: "\(error)"]) }
            case .lost, .deadline, .cancelled, .misuse:
                // A lost connection is the session's to report.
                lostClaim = LostClaim(server: lostClaim.map { $0.server == server ? server : nil } ?? server)
            case .connect, .settings, .unsuitable: break
            }
            claimFailed(after: .seconds(1))
        }
    }

    /// Writes what this worker knows to the server that its session has come to, until it is there: sooner nothing is claimed.
    private func reassert(_ claims: Session) async {
        while mustReassert, machine.canClaim, !Task.isCancelled {
            do {
                let connection = try await claims.connection(deadline: .now() + Times.statement)
                guard let worker else { return }
                try await reassert(on: connection, worker)
                quiet.succeeded()
            } catch {
                if case .server = error, quiet.isNew(error) {
                    log.error(
                        "what this worker has sent can't be compared with the database; nothing is claimed before",
                        metadata: [LogKeys.error: "\(error)"])
                }
                await changed.wait(until: .now() + .seconds(1))
            }
        }
    }

    /// The jobs of this worker's that are `sending` and that it knows of.
    var jobsInHand: [Int64] {
        waiting.jobs + parked.values.flatMap(\.jobs) + sending.compactMap { $0?.job.id } + accepted.jobs + unsent.jobs
            + recorder.jobs + jobsUnwritten
    }

    private func claimFailed(after span: Instant.Span) {
        lowWater.forget()
        let now = Instant.now()
        announce(machine.claimFailed(at: now, retryAt: now + span))
    }

    private func take(_ claimed: ClaimedJobs, limit: Int, claimedAt: Instant) {
        let now = Instant.now()
        announce(
            machine.claimEnded(
                count: claimed.jobs.count, limit: limit, oldestAge: claimed.jobs.lazy.map(\.age).max() ?? .seconds(0),
                at: now, jitter: Double.random(in: 0..<1, using: &random)))
        counters.claimed += Int64(claimed.jobs.count)
        for job in claimed.jobs {
            if job.isQuarantined { quarantined += 1 }
            let next = WaitingJob(job, claimedAt: claimedAt)
            if handedOver.contains(job.id), settle(next, at: now) { continue }
            waiting.append(next)
        }
        if let warning = claimed.durabilityWarning {
            log.error(
                "a claim may not survive a failover, so nothing of it is sent",
                metadata: [LogKeys.error: "\(warning)", LogKeys.remedy: "Bring the synchronous standby back."])
            releaseWaiting()
        }
        // A drain or a halt began while the claim was on its way; to a pause `pump` sees.
        if machine.isDraining || machine.isHalted { releaseWaiting() }
        pump()
    }

    /// Sets a timer for the next token of a rate limit, where jobs wait for nothing else.
    func awaitToken() {
        guard let due = machine.nextToken(after: .now()) else { return }
        if let timer = tokenTimer {
            guard due < timer.due else { return }
            loop.cancel(timer.id)
        }
        let id = loop.schedule(at: due) { [weak self] in
            self?.assumeIsolated {
                $0.tokenTimer = nil
                $0.pump()
            }
        }
        tokenTimer = (id, due)
    }

    // MARK: What the loops wait for

    /// Whether there is work in hand.
    var isBusy: Bool { machine.inFlight + machine.waiting + machine.rates.parked + unsaved > 0 }

    /// Whether there are dead entries at the front of the indexes, over which a look for what is due or ends next would step,
    /// while it polls in any case.
    var isAmongDead: Bool { lowWater.isMarking && machine.schedule.isActive(at: .now()) }

    /// Whether there is nothing in hand, and it may be asked when there will be.
    var isIdle: Bool { !isBusy && !isAmongDead }

    /// Until the status row should be written anew, at most `span`.
    func awaitBeat(atMost span: Instant.Span) async { await beats.wait(until: .now() + span) }

    /// A loop begins a round; whether a worker may have died that nobody has marked.
    @discardableResult
    func begin(_ errand: Agenda.Errand) -> Bool {
        agenda.began(errand, at: .now())
        return agenda.mayHaveDead
    }

    /// Until an errand is wanted, or due by the agenda, and at latest at `limit`; whether it was wanted. `began` is when the
    /// loop's last round began, `idle` its own cadence, where there is no agenda.
    @discardableResult
    func awaitErrand(
        _ errand: Agenda.Errand, since began: Instant, atMost idle: Instant.Span, by limit: Instant? = nil
    ) async -> Bool {
        while !Task.isCancelled {
            if isWanted[errand.rawValue] {
                isWanted[errand.rawValue] = false
                return true
            }
            let due = agenda.next(errand, since: began, atMost: idle)
            let end = limit.map { min($0, due) } ?? due
            if end <= .now() { return false }
            // A beat moves the agenda: looked at again.
            await errands[errand.rawValue].wait(until: end)
        }
        return false
    }

    private func want(_ errand: Agenda.Errand) {
        isWanted[errand.rawValue] = true
        errands[errand.rawValue].signal()
    }

    /// The state has changed: the status row should say so.
    func stateChanged() { beats.signal() }

    /// A message was accepted.
    func messageAccepted() { want(.poll) }

    /// An outcome is unknown, here or by the sweep.
    func outcomeUnknown() { want(.look) }

    // MARK: Resolved outcomes

    /// Jobs were queued again: look at once.
    func jobsAreDue() {
        machine.schedule.wake(at: .now())
        changed.signal()
    }

    /// Twilio has the message of a job whose outcome was unknown.
    func adopt(_ message: AcceptedMessage) {
        counters.accepted += 1
        handedOver.wasAccepted(message, at: .now())
        accepted.append(message)
        messageAccepted()
        ends.signal()
    }

    // MARK: Credentials

    /// Credentials have changed: what is handed over from now on goes to `endpoint`, which carries them.
    func use(_ endpoint: HTTP.Endpoint) {
        messages = endpoint
        credentialsSince = .now()
    }

    /// Sends a probe now, where paused.
    func probeNow() {
        machine.probeNow(at: .now())
        changed.signal()
    }

    // MARK: The status row

    /// `base` with what the dispatcher knows; begins a new stretch of latencies.
    /// Whether it takes jobs and sends them: connected, neither paused nor leaving.
    var isRunning: Bool {
        machine.canClaim && !machine.isDraining && machine.pause.reason == nil && !machine.isHalted
    }

    func report(from base: WorkerReport) -> WorkerReport {
        var report = base
        let now = Instant.now()
        let isPaused = machine.pause.reason != nil || machine.isHalted
        report.state = machine.isDraining ? .draining : isPaused ? .paused : .running
        report.reason = pauses.all?.reason ?? machine.pause.reason?.words
        report.remedy = pauses.all?.endRemedy ?? machine.pause.reason?.remedy
        report.pausedFor = (haltedAt ?? machine.pause.since).map { now - $0 }
        report.nextProbe = machine.isHalted ? nil : machine.pause.nextProbe.map { $0 - now }
        report.inFlight = machine.inFlight
        report.claimed = counters.claimed
        report.accepted = counters.accepted
        report.failed = counters.failed
        report.unknown = counters.unknown
        report.latency = (latency.percentile(0.5), latency.percentile(0.95), latency.percentile(0.99))
        // The connection that claims is there: it writes this.
        report.databaseState =
            !machine.canRecord
            ? "the connection that writes endings is lost; \(unsaved) wait"
            : recordTrouble.map { "connected; \(recorder.setAside) results cannot be recorded yet: \($0)" }
                ?? "connected"
        report.twilioState = [twilioState, windowNote, machine.rates.words(at: now)].compactMap { $0 }.joined(
            separator: "; ")
        latency.reset()
        return report
    }
}

/// Remembers the last error that was said, so that what repeats is said once and again when it changes.
struct QuietErrors {
    private var last: String?

    mutating func isNew(_ error: PostgresError) -> Bool {
        let words = "\(error)"
        defer { last = words }
        return words != last
    }

    mutating func succeeded() { last = nil }
}
