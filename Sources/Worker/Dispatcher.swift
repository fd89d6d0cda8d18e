import EventLoop
import HTTP
import Logging
import Mail
import OTP
import Postgres
import Queue
import Runtime
import Tracing
import Twilio

/// Owns the parts of a worker that claim jobs, hand them over and record their results, and tells each part what
/// happened.
///
/// The parts are confined to the loop and call each other directly, so that no executor hop lies between a claim's
/// answer and the POST. Steps that involve several parts are here.
actor Dispatcher {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let core: DispatchCore
    private let maintenance: MaintenanceSchedule
    private let pauses: PauseBook
    private let catalog: Catalog
    private let recorder: Recorder
    private let sender: JobSenders
    /// The risk checks of suspicious texts; nil for e-mail.
    private let risks: RiskChecks?
    private let riskPool: RiskPool?
    /// Asks the service that sends for something that changes nothing; whether it answered.
    private let isReachable: @Sendable () async -> Bool
    private let reasserter: Reasserter
    private let claimer: Claimer
    private let status: StatusReport
    private let keys: CodeKeys
    /// Nil without traces.
    private let spans: JobSpans?
    private var heartbeat: HeartbeatLoop?

    init(
        _ configuration: WorkerConfiguration, _ transport: Transport, on loop: EventLoop, log: Logger, _ tracer: Tracer?
    ) {
        self.loop = loop
        keys = configuration.keys
        spans = tracer.map { JobSpans($0) }
        let machine = DispatchMachine(
            maxInFlight: configuration.maxInFlight, ratePerSecond: configuration.ratePerSecond, now: .now())
        core = DispatchCore(machine, provider: transport.name, on: loop, log: log)
        maintenance = MaintenanceSchedule(on: loop)
        pauses = PauseBook(core)
        catalog = Catalog(
            core, channels: configuration.channels,
            senders: CountrySenders(standard: configuration.sender, statusCallback: configuration.statusCallback),
            channelSenders: ChannelSenders(statusCallback: configuration.statusCallback),
            appName: configuration.appName)
        let jobs = JobsInHand()
        recorder = Recorder(
            core, jobs, pauses, maintenance,
            sparedPolls: configuration.statusCallback == nil ? 0 : FinishAccepted.sparedByCallbacks)
        switch transport {
        case .twilio(let http, let twilio, let endpoints):
            let channels = TwilioChannels(
                http, messages: endpoints.messages, calls: endpoints.calls, catalog: catalog, pauses: pauses)
            let pool = RiskPool(twilio, on: loop)
            let checks = RiskChecks(core, jobs, pool)
            (risks, riskPool) = (checks, pool)
            sender = .twilio(
                JobSender(core, jobs, pauses, catalog, maintenance, recorder, channels, risks: checks, spans: spans))
            isReachable = { await twilio.answers(within: Times.connectivityCheck) }
        case .mail(let client, let mail):
            let channel = MailChannel(client, mail, catalog: catalog, pauses: pauses)
            (risks, riskPool) = (nil, nil)
            sender = .mail(JobSender(core, jobs, pauses, catalog, maintenance, recorder, channel, spans: spans))
            isReachable = {
                (try? await client.check(mail.server, deadline: .now() + Times.connectivityCheck)) != nil
            }
        }
        reasserter = Reasserter(core, jobs, recorder, maintenance)
        claimer = Claimer(
            core, jobs, recorder, reasserter, keys: keys, channels: configuration.channels, isReachable: isReachable)
        status = StatusReport(
            core: core, pauses: pauses, recorder: recorder, windowNote: configuration.windowNote,
            channels: configuration.channels)
    }

    // MARK: What it is asked

    /// The worker's number, from its first connection.
    var worker: Int64? { core.worker }
    /// The server that the claiming session is on; nil if it does not identify itself.
    var server: ServerInstance? { reasserter.server }
    /// What would be left behind if the worker left now.
    var leftOvers: (inFlight: Int, unsaved: Int) { (core.machine.inFlight, recorder.unsaved) }
    /// Whether it takes jobs and sends them: connected, neither paused nor leaving.
    var isRunning: Bool { status.isRunning }

    // MARK: What it is told

    /// Starts to listen to the client; once, before the loops.
    func prepare(_ transport: Transport) {
        switch transport {
        case .twilio(let http, _, _):
            http.onCompletions { [weak self] completions in
                self?.assumeIsolated { if case .twilio(let sender) = $0.sender { sender.completed(completions) } }
            }
        case .mail(let client, _):
            client.onCompletions { [weak self] completions in
                self?.assumeIsolated { if case .mail(let sender) = $0.sender { sender.completed(completions) } }
            }
        }
    }

    /// The worker's number, from its first connection.
    func registered(as worker: Int64) { core.registered(as: worker) }

    /// The claiming session has reached `server`: see `Reasserter`.
    func reached(_ server: ServerInstance?) { reasserter.reached(server) }

    /// The claiming connection is up and listens, or has ended.
    func claims(areUp isUp: Bool) {
        core.machine.database.canClaim = isUp
        core.machine.schedule.isListening = isUp
        if isUp {
            let now = Instant.now()
            core.machine.schedule.wake(at: now)
            // Other workers may have divided the rates without this one meanwhile. Its heartbeat tells them that it is
            // back.
            core.machine.rates.joins(at: now)
            core.statusChanged.signal()
        }
        core.claimsMayGo.signal()
    }

    /// The recording connection is up, or has ended.
    func records(areUp isUp: Bool) { recorder.connection(isUp: isUp) }

    /// Takes over the templates, error classes, senders by country, pauses and rates that the database has now.
    func read(_ rows: LoadCatalog.Rows) {
        catalog.read(rows)
        if pauses.read(rows.pauses, nextProbe: rows.nextProbe) { sender.releaseWaiting() }
        sender.pump()
    }

    /// A NOTIFY: jobs may be due, or the catalog has changed.
    func notified(_ notification: Postgres.Notification) {
        if notification.channel == LoadCatalog.channel { return catalog.changed() }
        core.machine.schedule.notified(draw: Int(notification.payload), at: .now())
        core.claimsMayGo.signal()
    }

    /// What the heartbeat found.
    private func heard(_ answer: Heartbeat.Reply) {
        let now = Instant.now()
        core.machine.schedule.isListening = answer.isListening
        core.machine.schedule.workers = (answer.before, answer.others + 1)
        if let nextDue = answer.nextDue { core.machine.schedule.expect(at: max(now, now + nextDue)) }
        core.machine.rates.counted(others: answer.others, at: now)
        maintenance.heard(answer.nextWork, at: now)
        sender.pump()
    }

    /// Stops claiming. Jobs claimed ahead go back to the queue, and requests already handed over run to completion.
    func drain() {
        core.machine.drain()
        recorder.drain()
        sender.releaseWaiting()
        core.claimsMayGo.signal()
        core.hasResults.signal()
        core.statusChanged.signal()
    }

    /// Credentials have changed: requests handed over from now on use `endpoints`, which carry the new ones.
    func use(_ endpoints: Transport.Endpoints) {
        sender.use(messages: endpoints.messages, calls: endpoints.calls)
    }

    /// Sends a probe now, where paused.
    func probeNow() {
        core.machine.probeNow(at: .now())
        core.claimsMayGo.signal()
    }

    /// The number that calls to a country come from.
    private func caller(_ country: String) -> CallSender? { catalog.channelSenders.call(country: country)?.sender }

    /// Twilio has the message of a job whose outcome was unknown.
    private func adopt(_ message: AcceptedMessage) { recorder.adopt(message) }

    // MARK: Loops

    /// Claims until the worker has drained.
    func claim(_ claims: Session) async {
        await claimer.run(ConnectionSource(claims) { $0 }) { claimed, began in
            sender.take(claimed, claimedAt: began)
        }
    }

    /// Records results until the worker has drained and nothing is left to record.
    func record(_ records: Session) async {
        await recorder.run(ConnectionSource(records) { $0 }, pauses: ConnectionSource(records) { $0 })
    }

    /// Sends heartbeats until canceled.
    func beat(_ claims: Session, _ identity: HeartbeatLoop.Identity) async {
        var heartbeat = HeartbeatLoop(
            core, claimer, catalog, status, ConnectionSource(claims) { $0 }, identity,
            heard: { self.heard($0) }, read: { self.read($0) })
        self.heartbeat = heartbeat
        await heartbeat.run()
    }

    /// The last heartbeat.
    func sendFinalHeartbeat() async { await heartbeat?.sendFinal() }

    /// Sweeps until canceled.
    func sweep(_ records: Session) async {
        var sweeper = Sweeper(core, claimer, maintenance, ConnectionSource(records) { $0 })
        await sweeper.run()
    }

    /// Polls until canceled.
    func poll(_ records: Session, _ twilio: TwilioReader) async {
        var poller = Poller(
            core, maintenance, recorder, ConnectionSource(records) { $0 }, twilio: twilio, keys: keys, spans: spans)
        await poller.run()
    }

    /// Begins the next steps of routes until canceled.
    func beginSteps(_ records: Session) async {
        var starter = StepStarter(core, catalog, ConnectionSource(records) { $0 })
        await starter.run()
    }

    /// Counts used codes and reviews holds until canceled.
    func reviewFraud(_ records: Session) async {
        var reviewer = FraudReviewer(core, ConnectionSource(records) { $0 })
        await reviewer.run()
    }

    /// Looks up the numbers of suspicious texts until canceled.
    func checkRisks() async {
        guard let risks, let riskPool else { return }
        async let performing: Void = riskPool.run()
        await risks.run()
        await performing
    }

    /// Records how those checks ended until canceled.
    func recordRisks(_ records: Session) async { await risks?.record(ConnectionSource(records) { $0 }) }

    /// Tells Twilio which codes were used until canceled.
    func giveFeedback(_ records: Session, _ twilio: TwilioReader) async {
        var feedback = FeedbackLoop(core, catalog, ConnectionSource(records) { $0 }, twilio)
        await feedback.run()
    }

    /// Probes until canceled.
    func probe(_ records: Session) async {
        var prober = Prober(core, pauses, ConnectionSource(records) { $0 })
        await prober.run()
    }

    /// Settles unknown outcomes until canceled.
    func reconcile(_ records: Session, _ twilio: TwilioReader, _ rule: ResolutionRule) async {
        let records = ConnectionSource<any LookupDatabase>(records) { $0 }
        let lookups = LookupPool(
            Lookups(
                records: records, twilio: twilio, rule: rule, log: core.log,
                caller: { country in await self.caller(country) }, adopt: { await self.adopt($0) }, spans: spans),
            on: loop)
        async let performing: Void = lookups.run()
        var reconciler = OutcomeReconciler(core, maintenance, records, lookups, keys: keys)
        await reconciler.run()
        await performing
    }
}
