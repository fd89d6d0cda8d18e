import FoundationEssentials

/// Why a control request was refused.
struct ControlError: Error, Equatable {
    var message: String
}

/// The body of `POST /_sim/faults`. A given key replaces that part of the plan; the other parts stay.
///
/// `{"next": [{"fault": "429", "count": 3, "retry_after": 1, "on": "create|fetch|list|any"},
///            {"fault": "blocked", "status": 403}],
///   "numbers": {"+966501234567": {"fault": "slow", "ms": 2000, "count": 1}},
///   "rates": {"500": 0.01}, "latency_ms": 5, "list_lag_ms": 2000,
///   "callbacks": {"lost": 0.1, "duplicated": 0.1, "reversed": 0.1},
///   "max_concurrent": 50, "max_per_second": 100, "auth_token": "…", "error_format": "classic|problem",
///   "account_status": "active|suspended|closed", "account_type": "Full|Trial"}`
///
/// 0 removes a limit. JSONDecoder is fast enough here, because this is not a hot path.
struct FaultRequest: Decodable {
    struct Rule: Decodable {
        var fault: String
        var count: Int?
        /// A number of seconds, or a string that is sent in the header as it is.
        var retryAfter: String?
        var ms: Int?
        var code: Int?
        var status: Int?
        var on: String?

        enum CodingKeys: String, CodingKey, CaseIterable {
            case fault, count, ms, code, status, on
            case retryAfter = "retry_after"
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
            let values = try decoder.container(keyedBy: CodingKeys.self)
            fault = try values.decode(String.self, forKey: .fault)
            count = try values.decodeIfPresent(Int.self, forKey: .count)
            let seconds = try? values.decodeIfPresent(Int.self, forKey: .retryAfter)
            retryAfter =
                try seconds.map { "\($0)" } ?? values.decodeIfPresent(String.self, forKey: .retryAfter)
            // It becomes exactly one line of the head.
            guard retryAfter?.utf8.allSatisfy({ $0 >= 0x20 }) != false else {
                throw ControlError(message: "\"retry_after\" must be one line")
            }
            ms = try values.decodeIfPresent(Int.self, forKey: .ms)
            code = try values.decodeIfPresent(Int.self, forKey: .code)
            status = try values.decodeIfPresent(Int.self, forKey: .status)
            on = try values.decodeIfPresent(String.self, forKey: .on)
        }

        func rule() throws(ControlError) -> FaultPlan.Rule {
            guard let kind = FaultPlan.Kind(rawValue: on ?? "create") else {
                throw ControlError(message: "\"on\" must be create, fetch, list or any")
            }
            let fault = try FaultRequest.fault(fault, code: code, ms: ms, retryAfter: retryAfter, status: status)
            return FaultPlan.Rule(fault: fault, remaining: max(count ?? 1, 1), kind: kind)
        }
    }

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
        case next, numbers, rates, callbacks
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

    var next: [Rule]?
    var numbers: [String: Rule]?
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
    /// The delay of the rate `slow`; 3000 by default.
    var slowMilliseconds: Int?

    init(from decoder: any Decoder) throws {
        try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
        let values = try decoder.container(keyedBy: CodingKeys.self)
        next = try values.decodeIfPresent([Rule].self, forKey: .next)
        numbers = try values.decodeIfPresent([String: Rule].self, forKey: .numbers)
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
                let fault = try Self.fault(name, code: nil, ms: slowMilliseconds, retryAfter: nil, status: nil)
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
        plan = changed
    }

    private static func share(_ share: Double, of name: String) throws(ControlError) -> Double {
        guard (0...1).contains(share) else { throw ControlError(message: "the share of \(name) must be from 0 to 1") }
        return share
    }

    private static func fault(
        _ name: String, code: Int?, ms: Int?, retryAfter: String?, status: Int?
    ) throws(ControlError) -> Fault {
        let status = status ?? 403
        guard (200...599).contains(status) else {
            throw ControlError(message: "\"status\" must be from 200 to 599")
        }
        guard
            let fault = Fault(
                name: name, code: code ?? 21211, milliseconds: max(ms ?? 3000, 0), retryAfter: retryAfter ?? "1",
                status: status)
        else {
            throw ControlError(message: "unknown fault \(name); known: \(Fault.names.joined(separator: ", "))")
        }
        return fault
    }
}

private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int?

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
}

extension Decoder {
    /// Refuses unknown keys, so that a misspelled one is reported.
    fileprivate func refuseKeys(besides known: [String]) throws {
        let keys = try container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
        if let stranger = keys.first(where: { !known.contains($0) }) {
            throw ControlError(message: "unknown key \(stranger); known: \(known.joined(separator: ", "))")
        }
    }
}
