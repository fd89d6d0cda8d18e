import EventLoop
import Logging
import OTP
import Postgres
import Synchronization
import Tracing
import Twilio

@testable import HTTP
@testable import Queue
@testable import Worker

/// Runs `body` on a loop of its own.
func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) async throws {
    let loop = try EventLoop.start(name: "parts")
    defer { loop.stop() }
    try await Task(executorPreference: loop) { try await body(loop) }.value
}

/// The parts of a dispatcher that need neither a database nor Twilio.
final class Parts {
    let core: DispatchCore
    let jobs = JobsInHand()
    let maintenance: MaintenanceSchedule
    let pauses: PauseBook
    let catalog: Catalog
    let recorder: Recorder
    let reasserter: Reasserter
    /// The lines that were logged.
    let log = LogLines()

    init(on loop: EventLoop, maxInFlight: Int = 4, app: String = "App") {
        let machine = DispatchMachine(maxInFlight: maxInFlight, ratePerSecond: nil, now: .now() - .seconds(2))
        core = DispatchCore(machine, on: loop, log: log.logger)
        maintenance = MaintenanceSchedule(on: loop)
        pauses = PauseBook(core)
        catalog = Catalog(
            core, channels: [.sms], senders: CountrySenders(standard: .from("+15550001"), statusCallback: nil),
            channelSenders: ChannelSenders(statusCallback: nil), appName: app)
        recorder = Recorder(core, jobs, pauses, maintenance, sparedPolls: 0)
        reasserter = Reasserter(core, jobs, recorder, maintenance)
    }

    /// As after a start: registered, connected, with one text.
    func ready() -> Parts {
        core.registered(as: 1)
        core.machine.database.canClaim = true
        recorder.connection(isUp: true)
        catalog.read(rows())
        return self
    }

    func claimer(isReachable: Bool = true) -> Claimer {
        Claimer(core, jobs, recorder, reasserter, keys: .parts, channels: [.sms]) { isReachable }
    }

    func sender<Channel: SendChannel>(
        _ channel: Channel, risks: RiskChecks? = nil, spans: JobSpans? = nil
    ) -> JobSender<Channel> {
        JobSender(core, jobs, pauses, catalog, maintenance, recorder, channel, risks: risks, spans: spans)
    }
}

/// A catalog with one text.
func rows(_ pauses: [Pause] = []) -> LoadCatalog.Rows {
    var rows = LoadCatalog.Rows()
    rows.templates = [.init(purpose: "login", locale: "en", text: "{code} is your code for {app}.")]
    rows.pauses = pauses
    return rows
}

extension CodeKeys {
    static let parts = CodeKeys(Secret("a secret of the tests, long enough to be one"))
}

extension PhoneNumber {
    static let parts = try! PhoneNumber(e164: "+905321234567")
}

extension MessageSID {
    /// One that belongs to `number`.
    static func made(_ number: Int) -> MessageSID {
        let digits = String(number)
        return MessageSID("SM" + String(repeating: "0", count: 32 - digits.count) + digits)!
    }
}

/// A job to be sent now.
func job(
    _ id: Int64, code: String? = "123456", life: Instant.Duration = .seconds(600),
    endReason: ClaimedJob.EndReason? = nil,
    locale: String = "en", isQuarantined: Bool = false, channel: Channel = .sms, email: String? = nil,
    attempt: Int32 = 1, caller: TraceContext? = nil, follows: Int64? = nil, maxRisk: Int32? = nil
) -> ClaimedJob {
    ClaimedJob(
        id: id, attempt: attempt, tries: attempt, life: life, recipient: .success(.parts), country: "TR",
        locale: locale,
        code: code.map { try! Code($0) }, endReason: endReason, isQuarantined: isQuarantined, channel: channel,
        email: email, caller: caller, follows: follows, maxRisk: maxRisk)
}

func claimed(_ jobs: [ClaimedJob], warning: String? = nil) -> ClaimedJobs {
    ClaimedJobs(jobs: jobs, lowest: nil, durabilityWarning: warning)
}

extension PostgresError {
    /// The server refuses a statement.
    static func refused(_ sqlstate: String) -> PostgresError {
        .server(ServerError(severity: "ERROR", sqlstate: sqlstate, message: "refused"))
    }

    /// The connection ended while a statement ran.
    static let connectionLost = PostgresError.lost(Loss(reason: "it broke", lastError: nil, outcome: .unknown))
}

/// Answers that a stand-in gives, one call after another, and the calls that it got.
final class Script<Call: Sendable, Answer: Sendable>: Sendable {
    private let state: Mutex<(calls: [Call], answers: [Result<Answer, PostgresError>])>
    private let last: Answer
    private let onEmpty: @Sendable () -> Void

    /// `answers` in order, then `last`, before which `onEmpty` is called each time.
    init(
        _ answers: [Result<Answer, PostgresError>] = [], then last: Answer,
        onEmpty: @escaping @Sendable () -> Void = {}
    ) {
        state = Mutex(([], answers))
        self.last = last
        self.onEmpty = onEmpty
    }

    var calls: [Call] { state.withLock { $0.calls } }

    func answer(_ call: Call) throws(PostgresError) -> Answer {
        let next = state.withLock { state in
            state.calls.append(call)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        guard let next else {
            onEmpty()
            return last
        }
        return try next.get()
    }
}

/// Cancels the task that runs.
func cancelTask() { withUnsafeCurrentTask { unsafe $0?.cancel() } }

/// The lines that parts log.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    /// Their messages.
    var messages: [String] { lines.withLock { $0 } }

    var logger: Logger { Logger(label: "parts") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.message)") } }
    }
}

extension Completion {
    /// How the request with `tag` ended.
    static func made(tag: Int, _ outcome: TransferResult) -> Completion {
        Completion(
            tag: tag, outcome: outcome, received: AnswerBody(AnswerBuffer()), receivedStatus: 0,
            origin: AnswerOrigin())
    }
}
