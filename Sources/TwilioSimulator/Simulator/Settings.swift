/// The simulator's settings.
struct Settings: Sendable {
    var host = "127.0.0.1"
    /// The token that requests for `/_sim/` must have as `Authorization: Bearer …`; nil for none.
    var controlToken: String?
    /// Whether callbacks may go to other machines.
    var allowsRemoteCallbacks = false
    /// 0 for a free port.
    var port = 0
    var accountSID = "AC00000000000000000000000000000000"
    var authToken = "simulator-auth-token"
    var apiKeySID: String?
    var apiKeySecret: String?
    var delays = StatusDelays()
    /// How many of the newest messages are kept.
    var capacity = 1_000_000
    /// The seed of SIDs and of faults by rate.
    var seed: UInt64 = 0
    var latencyMilliseconds = 0
    var listLagMilliseconds = 0
    var errorFormat = TwilioError.Format.classic
    /// A JSON object for `/_sim/faults`, applied at the start and after each reset.
    var faults: [UInt8] = []
}
