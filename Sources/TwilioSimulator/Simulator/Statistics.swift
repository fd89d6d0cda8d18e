/// The counts of one channel.
struct ChannelStatistics {
    /// All create requests, whatever their answer. For e-mail: mails that a client began.
    var creates = 0
    var created = 0
    /// Creates answered with a 4xx other than 401 and 429. For e-mail: 5xx replies after `MAIL`.
    var refused = 0
    /// For e-mail: 4xx replies after `MAIL`.
    var tooManyRequests = 0

    static func + (left: ChannelStatistics, right: ChannelStatistics) -> ChannelStatistics {
        ChannelStatistics(
            creates: left.creates + right.creates, created: left.created + right.created,
            refused: left.refused + right.refused, tooManyRequests: left.tooManyRequests + right.tooManyRequests)
    }
}

/// The simulator's counts since its start or the last reset.
struct Statistics {
    var requests = 0
    var unauthorized = 0
    /// The most creates answered at one time.
    var maxConcurrent = 0
    var callbacksSent = 0
    var callbacksFailed = 0
    /// Callback URLs other than plain http.
    var callbacksUnsupported = 0
    /// Callbacks to other machines, without `--remote-callbacks`.
    var callbacksRefused = 0
    /// Requests that told whether a message's code was used, and were accepted.
    var feedbacks = 0
    /// Numbers that were looked up.
    var lookups = 0
    /// Exports of traces, by OTLP/HTTP.
    var traceExports = 0
    /// Faults by name.
    var faults: [String: Int] = [:]
    private var sms = ChannelStatistics()
    private var whatsApp = ChannelStatistics()
    private var call = ChannelStatistics()
    private var email = ChannelStatistics()

    subscript(channel: Channel) -> ChannelStatistics {
        get {
            switch channel {
            case .sms: sms
            case .whatsapp: whatsApp
            case .call: call
            case .email: email
            }
        }
        set {
            switch channel {
            case .sms: sms = newValue
            case .whatsapp: whatsApp = newValue
            case .call: call = newValue
            case .email: email = newValue
            }
        }
    }

    /// The counts of all channels together.
    var total: ChannelStatistics { sms + whatsApp + call + email }
    var creates: Int { total.creates }
    var created: Int { total.created }
    var refused: Int { total.refused }
    var tooManyRequests: Int { total.tooManyRequests }

    /// Counts the answer to a create.
    mutating func countCreate(_ channel: Channel, status: Int) {
        switch status {
        case 401: unauthorized += 1
        case 429: self[channel].tooManyRequests += 1
        case 400..<500: self[channel].refused += 1
        default: break
        }
    }

    mutating func count(fault name: String) { faults[name, default: 0] += 1 }
}
