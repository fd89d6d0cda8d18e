/// What this worker has done since it started.
struct Counters: Sendable {
    var claimed: Int64 = 0
    var accepted: Int64 = 0
    var failed: Int64 = 0
    var unknown: Int64 = 0
}
