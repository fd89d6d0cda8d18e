import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime
import Twilio

/// Looks up the numbers of suspicious texts at Twilio before they are handed over, while `otp.settings.lookup_suspicious`
/// is on.
///
/// The claim names these texts (`ClaimedJob.maxRisk`). Each waits here for the answer, and no other job waits for it. A
/// text whose number is too risky ends. Any other is sent, also when there is no usable answer within `longest`: a timer
/// of its own sees to that, whatever the request does. The job is `sending` with its lease all the while, and nothing of it
/// has left. So a crash is that of a claimed job that was not handed over. Confined to the loop.
final class RiskChecks {
    /// Checks under way at a time; further ones wait for a place.
    static let atATime = 8
    /// The most that a text waits.
    static let longest = Instant.Duration.seconds(3)
    /// What a code must have left to live after that, to be handed over.
    static let rest = Instant.Duration.seconds(2)

    private let core: DispatchCore
    private let jobs: JobsInHand
    private let pool: RiskPool
    private let wait: Instant.Duration
    /// Told which job's wait is over, and why it may not be sent, if so. Set once, by the job sender.
    var ended: (WaitingJob, Unsendable?) -> Void = { _, _ in }
    private var timers: [Int64: TimerID] = [:]
    /// Those that wait for a place, first in first out.
    private var queue: [RiskCheck] = []
    /// Checks that ended and are not recorded.
    private var unrecorded: [RecordRiskChecks.Check] = []
    private let hasUnrecorded: Latch
    private var failures: Set<NumberRisk.Failure> = []
    private var errors = LogOnce()

    init(_ core: DispatchCore, _ jobs: JobsInHand, _ pool: RiskPool, wait: Instant.Duration = RiskChecks.longest) {
        (self.core, self.jobs, self.pool, self.wait) = (core, jobs, pool, wait)
        hasUnrecorded = Latch(on: core.loop)
    }

    /// Takes over a claimed job whose number has to be looked up; whether it did. Otherwise the job goes without.
    func take(_ next: WaitingJob, at now: Instant) -> Bool {
        // A pause's probe goes at once, and so does the job of a code that has ended.
        guard let maxRisk = next.job.maxRisk, case .success(let number) = next.job.recipient, next.job.endReason == nil,
            core.machine.pause.reason == nil, !core.machine.isDraining, !core.machine.isHalted
        else { return false }
        let deadline = min(now + wait, next.expiresAt - Self.rest)
        guard deadline > now else { return false }
        core.machine.checkBegan()
        jobs.checked[next.job.id] = next
        timers[next.job.id] = core.loop.schedule(at: deadline) { [weak self] in
            self?.settle(next.job.id, .failed(.late), maxRisk)
        }
        queue.append(.init(job: next.job.id, number: number, maxRisk: maxRisk, deadline: deadline))
        begin()
        return true
    }

    /// Begins the checks for which there is a place.
    private func begin() {
        while pool.underWay < Self.atATime, !queue.isEmpty {
            let check = queue.removeFirst()
            // Its time may be up already.
            if jobs.checked[check.job] != nil { pool.begin(check) }
        }
    }

    /// Takes the answers until canceled.
    func run() async {
        while !Task.isCancelled {
            await pool.hasEnded.wait()
            takeEnded()
        }
    }

    /// Takes the answers since the last call.
    func takeEnded() {
        for (check, risk) in pool.takeEnded() { settle(check.job, risk, check.maxRisk) }
        begin()
    }

    /// Ends a job's wait. Only the first of answer and timer counts.
    private func settle(_ job: Int64, _ risk: NumberRisk, _ maxRisk: Int32) {
        guard let next = jobs.checked.removeValue(forKey: job) else { return }
        if let timer = timers.removeValue(forKey: job) { core.loop.cancel(timer) }
        core.machine.checkEnded()
        var check = RecordRiskChecks.Check(verification: next.job.verificationID, .passed)
        var refusal: Unsendable?
        switch risk {
        case .score(let score):
            check.score = Int32(score)
            failures = []
            if score > maxRisk {
                check.outcome = .refused
                refusal = Self.tooRisky(score, maxRisk)
            }
        case .unknown:
            check.outcome = .unknown
            failures = []
        case .failed(let failure):
            check.outcome = .failed
            say(failure)
        }
        unrecorded.append(check)
        hasUnrecorded.signal()
        ended(next, refusal)
    }

    private static func tooRisky(_ score: Int, _ maxRisk: Int32) -> Unsendable {
        Unsendable(
            .limited,
            error: """
                Twilio rates the risk of the phone number at \(score), which is above max_risk_score (\(maxRisk)), and too \
                many codes like this were sent and not used.
                """,
            remedy: """
                If the number belongs to a real user, add its first digits to otp.fraud_exceptions, or raise \
                otp.settings.max_risk_score.
                """,
            errorClass: "limited")
    }

    /// Logs each kind of failure once, until a check succeeds.
    private func say(_ failure: NumberRisk.Failure) {
        guard failures.insert(failure).inserted else { return }
        var metadata: Logger.Metadata = [LogKeys.reason: "\(failure.words)"]
        if case .refused(let code) = failure {
            metadata[LogKeys.errorCode] = "\(code.map(String.init) ?? "none")"
            metadata[LogKeys.remedy] = """
                Give the API key the permission for Lookup, or set otp.settings.lookup_suspicious to false.
                """
        }
        core.log.warning("a risk check of a phone number failed; its text is sent without one", metadata: metadata)
    }

    // MARK: Recording

    /// Records how checks ended until canceled. What cannot be recorded is dropped: only figures depend on it.
    func record(_ records: ConnectionSource<any RiskDatabase>) async {
        while !Task.isCancelled {
            await hasUnrecorded.wait()
            await recordOnce(records)
        }
    }

    func recordOnce(_ records: ConnectionSource<any RiskDatabase>) async {
        guard !unrecorded.isEmpty else { return }
        let checks = RecordRiskChecks(unrecorded)
        unrecorded = []
        do {
            try await records.connection().record(checks)
            errors.succeeded()
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error(
                    "cannot record risk checks of phone numbers; their scores are lost",
                    metadata: .of(error, [LogKeys.count: "\(checks.checks.count)"]))
            }
        }
    }
}

/// A number to be looked up.
struct RiskCheck: Sendable {
    let job: Int64
    let number: PhoneNumber
    let maxRisk: Int32
    let deadline: Instant
}

/// Performs risk checks side by side, so that one that hangs delays no other.
typealias RiskPool = RequestPool<RiskCheck, (check: RiskCheck, risk: NumberRisk)>

extension RiskPool {
    convenience init(_ twilio: any RiskReader, on loop: EventLoop) {
        self.init(on: loop) { check in (check, await twilio.risk(of: check.number, deadline: check.deadline)) }
    }
}

extension NumberRisk.Failure {
    var words: String {
        switch self {
        case .refused: "Twilio refuses the lookup"
        case .throttled: "Twilio takes no lookups for now"
        case .noAnswer: "Twilio gave no answer"
        case .unreadable: "the answer is not one of Twilio's"
        case .otherNumber: "the answer is about another phone number"
        case .late: "there was no answer in time"
        }
    }
}

/// What the checks ask of Twilio. Tests use a stand-in.
protocol RiskReader: Sendable {
    /// The risk of a number. Twilio may charge for it.
    func risk(of number: PhoneNumber, deadline: Instant) async -> NumberRisk
}

/// What the checks ask of a connection.
protocol RiskDatabase: Sendable {
    func record(_ checks: RecordRiskChecks) async throws(PostgresError)
}

extension Connection: RiskDatabase {
    nonisolated func record(_ checks: RecordRiskChecks) async throws(PostgresError) {
        try await checks.run(on: self, deadline: .now() + Times.statement)
    }
}
