import FoundationEssentials

/// The body of `POST /_sim/faults`. A given key replaces that part of the plan; the other parts stay.
///
/// `{"next": [{"fault": "429", "count": 3, "retry_after": 1, "on": "create|fetch|list|feedback|lookup|any"},
///            {"fault": "blocked", "status": 403, "channel": "sms|whatsapp|call"}],
///   "numbers": {"+966501234567": {"fault": "slow", "ms": 2000, "count": 1}},
///   "rates": {"500": 0.01}, "latency_ms": 5, "list_lag_ms": 2000,
///   "callbacks": {"lost": 0.1, "duplicated": 0.1, "reversed": 0.1},
///   "max_concurrent": 50, "max_per_second": 100, "auth_token": "…", "error_format": "classic|problem",
///   "account_status": "active|suspended|closed", "account_type": "Full|Trial",
///   "calls_per_second": 1, "whatsapp_window": true,
///   "smtp": [{"on": "rcpt", "fault": "reply", "code": 550, "text": "5.1.1 unknown", "to": "a@b", "count": 2}]}`
///
/// 0 removes a limit. JSONDecoder is fast enough here, because this is not a hot path.
struct FaultRequest: Decodable {
    struct Callbacks: Decodable {
        var lost: Double?
        var duplicated: Double?
        var reversed: Double?

        enum CodingKeys: String, CodingKey, CaseIterable {
            case lost, duplicated, reversed
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
            let values = try decoder.container(keyedBy: CodingKeys.self)
            lost = try values.decodeIfPresent(Double.self, forKey: .lost)
            duplicated = try values.decodeIfPresent(Double.self, forKey: .duplicated)
            reversed = try values.decodeIfPresent(Double.self, forKey: .reversed)
        }
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case next, numbers, rates, callbacks, smtp
        case callsPerSecond = "calls_per_second"
        case whatsAppWindow = "whatsapp_window"
        case latencyMilliseconds = "latency_ms"
        case listLagMilliseconds = "list_lag_ms"
        case maxConcurrent = "max_concurrent"
        case maxPerSecond = "max_per_second"
        case authToken = "auth_token"
        case errorFormat = "error_format"
        case slowMilliseconds = "slow_ms"
        case accountStatus = "account_status"
        case accountType = "account_type"
    }

    var next: [RuleRequest]?
    var numbers: [String: RuleRequest]?
    var rates: [String: Double]?
    var callbacks: Callbacks?
    var latencyMilliseconds: Int?
    var listLagMilliseconds: Int?
    var maxConcurrent: Int?
    var maxPerSecond: Int?
    var authToken: String?
    var errorFormat: String?
    var accountStatus: String?
    var accountType: String?
    var callsPerSecond: Double?
    var whatsAppWindow: Bool?
    var smtp: [MailRuleRequest]?
    /// The delay of the rate `slow`; 3000 by default.
    var slowMilliseconds: Int?

    init(from decoder: any Decoder) throws {
        try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
        let values = try decoder.container(keyedBy: CodingKeys.self)
        next = try values.decodeIfPresent([RuleRequest].self, forKey: .next)
        numbers = try values.decodeIfPresent([String: RuleRequest].self, forKey: .numbers)
        rates = try values.decodeIfPresent([String: Double].self, forKey: .rates)
        callbacks = try values.decodeIfPresent(Callbacks.self, forKey: .callbacks)
        latencyMilliseconds = try values.decodeIfPresent(Int.self, forKey: .latencyMilliseconds)
        listLagMilliseconds = try values.decodeIfPresent(Int.self, forKey: .listLagMilliseconds)
        maxConcurrent = try values.decodeIfPresent(Int.self, forKey: .maxConcurrent)
        maxPerSecond = try values.decodeIfPresent(Int.self, forKey: .maxPerSecond)
        authToken = try values.decodeIfPresent(String.self, forKey: .authToken)
        errorFormat = try values.decodeIfPresent(String.self, forKey: .errorFormat)
        accountStatus = try values.decodeIfPresent(String.self, forKey: .accountStatus)
        accountType = try values.decodeIfPresent(String.self, forKey: .accountType)
        callsPerSecond = try values.decodeIfPresent(Double.self, forKey: .callsPerSecond)
        whatsAppWindow = try values.decodeIfPresent(Bool.self, forKey: .whatsAppWindow)
        smtp = try values.decodeIfPresent([MailRuleRequest].self, forKey: .smtp)
        slowMilliseconds = try values.decodeIfPresent(Int.self, forKey: .slowMilliseconds)
    }

    static func parse(_ bytes: [UInt8]) throws(ControlError) -> FaultRequest {
        do {
            return try JSONDecoder().decode(FaultRequest.self, from: Data(bytes))
        } catch let error as ControlError {
            throw error
        } catch {
            throw ControlError(message: "not a faults object: \(error)")
        }
    }

    /// Changes the whole plan, or nothing.
    func apply(to plan: inout FaultPlan) throws(ControlError) {
        var changed = plan
        if let next {
            changed.next = []
            for rule in next { changed.next.append(try rule.rule()) }
        }
        if let numbers {
            changed.numbers = [:]
            for (number, rule) in numbers { changed.numbers[Array(number.utf8)] = try rule.rule() }
        }
        if let rates {
            changed.rates = []
            for (name, share) in rates.sorted(by: { $0.key < $1.key }) {
                let fault = try RuleRequest.fault(name, code: nil, ms: slowMilliseconds, retryAfter: nil, status: nil)
                changed.rates.append((fault, try Self.share(share, of: name)))
            }
        }
        if let callbacks {
            changed.callbacks = CallbackSchedule.Disorder(
                lost: try Self.share(callbacks.lost ?? 0, of: "lost"),
                duplicated: try Self.share(callbacks.duplicated ?? 0, of: "duplicated"),
                reversed: try Self.share(callbacks.reversed ?? 0, of: "reversed"))
        }
        if let latencyMilliseconds { changed.latencyMilliseconds = max(latencyMilliseconds, 0) }
        if let listLagMilliseconds { changed.listLagMilliseconds = max(listLagMilliseconds, 0) }
        if let maxConcurrent { changed.maxConcurrent = maxConcurrent > 0 ? maxConcurrent : nil }
        if let maxPerSecond { changed.maxPerSecond = maxPerSecond > 0 ? maxPerSecond : nil }
        if let errorFormat {
            guard let format = TwilioError.Format(rawValue: errorFormat) else {
                throw ControlError(message: "\"error_format\" must be classic or problem")
            }
            changed.errorFormat = format
        }
        if let accountStatus {
            guard let status = FaultPlan.AccountStatus(rawValue: accountStatus) else {
                throw ControlError(message: "\"account_status\" must be active, suspended or closed")
            }
            changed.accountStatus = status
        }
        if let accountType {
            guard let type = FaultPlan.AccountType(rawValue: accountType) else {
                throw ControlError(message: "\"account_type\" must be Full or Trial")
            }
            changed.accountType = type
        }
        if let callsPerSecond {
            guard callsPerSecond == 0 || (0.001...1000).contains(callsPerSecond) else {
                throw ControlError(message: "\"calls_per_second\" must be 0, or from 0.001 to 1000")
            }
            changed.callsPerSecond = callsPerSecond
        }
        if let whatsAppWindow { changed.isWhatsAppWindowOpen = whatsAppWindow }
        if let smtp {
            changed.mail.rules = []
            for rule in smtp { changed.mail.rules.append(try rule.rule()) }
        }
        plan = changed
    }

    private static func share(_ share: Double, of name: String) throws(ControlError) -> Double {
        guard (0...1).contains(share) else { throw ControlError(message: "the share of \(name) must be from 0 to 1") }
        return share
    }
}
