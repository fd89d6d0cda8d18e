import EventLoop
import Queue

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
