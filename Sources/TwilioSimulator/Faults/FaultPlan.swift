/// Decides which fault a request gets: counted rules, rules per number, rates, and the limits on concurrency and rate.
struct FaultPlan {
    /// The requests that a rule applies to.
    enum Kind: String {
        case create, fetch, list, feedback, lookup, any
    }

    struct Rule: Equatable {
        var fault: Fault
        var remaining: Int
        var kind = Kind.create
        /// The channel that it is for; nil for all of Twilio's.
        var channel: Channel?

        func applies(to kind: Kind, _ channel: Channel?) -> Bool {
            (self.kind == kind || self.kind == .any) && (self.channel == nil || self.channel == channel)
                && fault.fits(channel)
        }
    }

    /// An account's `status`.
    enum AccountStatus: String, CaseIterable {
        case active, suspended, closed
    }

    /// An account's `type`.
    enum AccountType: String, CaseIterable {
        case trial = "Trial"
        case full = "Full"
    }

    /// Applied in order, each to its next `remaining` requests.
    var next: [Rule] = []
    /// By `To`, each for its next `remaining` creates.
    var numbers: [[UInt8]: Rule] = [:]
    /// Shares of creates from 0 to 1, in order.
    var rates: [(fault: Fault, share: Double)] = []
    var latencyMilliseconds = 0
    /// How long a new message stays out of the list.
    var listLagMilliseconds = 0
    var callbacks = CallbackSchedule.Disorder()
    /// More creates than this at a time get 429; nil for no limit.
    var maxConcurrent: Int?
    /// More creates than this within one second of the clock get 429; nil for no limit.
    var maxPerSecond: Int?
    var errorFormat = TwilioError.Format.classic
    /// An account that is not active neither takes nor lists messages.
    var accountStatus = AccountStatus.active
    var accountType = AccountType.full
    /// Calls that leave the queue within a second; 0 for no limit.
    var callsPerSecond = 1.0
    /// Whether users wrote to the sender within the last day, so that WhatsApp takes a text without a template.
    var isWhatsAppWindowOpen = false
    /// For the sink of e-mails.
    var mail = MailFaultPlan()

    private var magicUsed: Set<[UInt8]> = []
    private var second: Int64 = 0
    private var createsThisSecond = 0

    init() {}

    /// Counts this create, and returns whether it exceeds a limit.
    mutating func exceedsLimits(concurrent: Int, at now: Microseconds) -> Bool {
        if let maxConcurrent, concurrent > maxConcurrent { return true }
        guard let maxPerSecond else { return false }
        if now / 1_000_000 != second {
            second = now / 1_000_000
            createsThisSecond = 0
        }
        createsThisSecond += 1
        return createsThisSecond > maxPerSecond
    }

    /// The fault for this request. Uses up one count of its rule.
    mutating func fault(
        _ kind: Kind, _ channel: Channel? = nil, to: [UInt8] = [], magic: Fault? = nil,
        using random: inout some RandomNumberGenerator
    ) -> Fault? {
        if let position = next.firstIndex(where: { $0.applies(to: kind, channel) }) {
            let fault = next[position].fault
            next[position].remaining -= 1
            if next[position].remaining <= 0 { next.remove(at: position) }
            return fault
        }
        guard kind == .create else { return nil }
        if !numbers.isEmpty, let rule = numbers[to], rule.applies(to: kind, channel) {
            numbers[to]?.remaining -= 1
            if rule.remaining <= 1 { numbers[to] = nil }
            return rule.fault
        }
        // An SMS and a call to one number are both first.
        if let magic, magicUsed.insert(channel == .call ? Array("call:".utf8) + to : to).inserted { return magic }
        if !rates.isEmpty {
            var drawn = Double.random(in: 0..<1, using: &random)
            for rate in rates {
                if drawn < rate.share { return rate.fault.fits(channel) ? rate.fault : nil }
                drawn -= rate.share
            }
        }
        return nil
    }
}
