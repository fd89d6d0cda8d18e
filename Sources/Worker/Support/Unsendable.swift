import EventLoop
import OTP
import Queue
import Runtime

/// Why a claimed job is not handed over, and how it ends.
struct Unsendable: Error {
    let outcome: UnsentOutcome
    var delay = Instant.Duration.seconds(0)
    /// For how long nothing of the attempt can have left, where the outcome is unknown.
    var age = Instant.Duration.seconds(0)
    var error: String?
    var remedy: String?
    var errorClass: String?
    /// The pause that holds it, or the sender whose rate does.
    var holdKey: String?
    /// That sender's rate.
    var rate = 0.0

    init(
        _ outcome: UnsentOutcome, delay: Instant.Duration = .seconds(0), age: Instant.Duration = .seconds(0),
        error: String? = nil, remedy: String? = nil, errorClass: String? = nil, holdKey: String? = nil, rate: Double = 0
    ) {
        self.outcome = outcome
        self.delay = delay
        self.age = age
        self.error = error
        self.remedy = remedy
        self.errorClass = errorClass
        self.holdKey = holdKey
        self.rate = rate
    }
}

extension Unsendable {
    /// No row of `otp.channel_senders` serves a job's channel and country.
    static func noSender(for job: ClaimedJob) -> Unsendable {
        missing(
            for: job, "otp.channel_senders has no sender for \(job.channel) in \(job.country).",
            remedy: "Insert a row for the channel and the country, or for the country *.")
    }

    /// A row that a job needs is not in this worker's copy. The first time it may be missing there alone, because workers
    /// reload a moment after a row was inserted. The second time the job fails, and the next step of its route begins.
    static func missing(for job: ClaimedJob, _ error: String, remedy: String) -> Unsendable {
        guard job.tries > 1 else { return Unsendable(.retry, delay: .seconds(1), error: error, remedy: remedy) }
        return Unsendable(.failed, error: error, remedy: remedy, errorClass: ErrorClass.badJob.rawValue)
    }

    /// A job's text cannot be used, or is not in this worker's copy.
    static func noText(_ error: some Error) -> Unsendable {
        Unsendable(
            .retry, delay: .seconds(2), error: Sentence.whole("\(error)"),
            remedy: "Insert or correct the row in otp.templates. otpd tries the job again until its code expires.")
    }
}
