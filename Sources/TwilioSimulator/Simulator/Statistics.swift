/// What the simulator has counted since its start or the last reset.
struct Statistics {
    var requests = 0
    /// Create requests that came in, whatever became of them.
    var creates = 0
    var created = 0
    /// Creates answered with another 4xx than 401 and 429.
    var refused = 0
    var tooManyRequests = 0
    var unauthorized = 0
    /// Most creates being answered at one time.
    var maxConcurrent = 0
    var callbacksSent = 0
    var callbacksFailed = 0
    /// Callback URLs that are not plain http.
    var callbacksUnsupported = 0
    /// To other machines, without `--remote-callbacks`.
    var callbacksRefused = 0
    /// By name.
    var faults: [String: Int] = [:]

    /// Counts the answer to a create.
    mutating func countCreate(status: Int) {
        switch status {
        case 401: unauthorized += 1
        case 429: tooManyRequests += 1
        case 400..<500: refused += 1
        default: break
        }
    }
}
