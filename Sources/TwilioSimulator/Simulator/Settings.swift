/// What the simulator is started with.
struct Settings: Sendable {
    var host = "127.0.0.1"
    /// What requests for `/_sim/` must show as `Authorization: Bearer …`; nil: nothing.
    var controlToken: String?
    /// Whether callbacks may go to other machines.
    var allowsRemoteCallbacks = false
    /// 0 picks a free one.
    var port = 0
    var accountSID = "AC00000000000000000000000000000000"
    var authToken = "simulator-auth-token"
    var apiKeySID: String?
    var apiKeySecret: String?
    var delays = StatusDelays()
    /// Newest messages kept.
    var capacity = 1_000_000
    /// Seed of SIDs and of faults by rate.
    var seed: UInt64 = 0
    var latencyMilliseconds = 0
    var listLagMilliseconds = 0
    var errorFormat = TwilioError.Format.classic
    /// A JSON object as `/_sim/faults` takes it, applied at the start and after each reset.
    var faults: [UInt8] = []
}
