/// The simulator's counts since its start or the last reset.
struct Statistics {
    var requests = 0
    /// All create requests, whatever their answer.
    var creates = 0
    var created = 0
    /// Creates answered with a 4xx other than 401 and 429.
    var refused = 0
    var tooManyRequests = 0
    var unauthorized = 0
    /// The most creates answered at one time.
    var maxConcurrent = 0
    var callbacksSent = 0
    var callbacksFailed = 0
    /// Callback URLs other than plain http.
    var callbacksUnsupported = 0
    /// Callbacks to other machines, without `--remote-callbacks`.
    var callbacksRefused = 0
    /// Faults by name.
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
