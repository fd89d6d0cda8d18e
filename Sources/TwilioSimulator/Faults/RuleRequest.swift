/// A rule in the body of `POST /_sim/faults`, for requests over HTTP.
struct RuleRequest: Decodable {
    var fault: String
    var count: Int?
    /// A number of seconds, or a string that is sent in the header as it is.
    var retryAfter: String?
    var ms: Int?
    var code: Int?
    var status: Int?
    var on: String?
    var channel: String?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case fault, count, ms, code, status, on, channel
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
        channel = try values.decodeIfPresent(String.self, forKey: .channel)
    }

    func rule() throws(ControlError) -> FaultPlan.Rule {
        guard let kind = FaultPlan.Kind(rawValue: on ?? "create") else {
            throw ControlError(message: "\"on\" must be create, fetch, list, feedback, lookup or any")
        }
        var rule = FaultPlan.Rule(
            fault: try Self.fault(fault, code: code, ms: ms, retryAfter: retryAfter, status: status),
            remaining: max(count ?? 1, 1), kind: kind)
        if let channel {
            guard let channel = Channel(rawValue: channel), rule.fault.fits(channel) else {
                throw ControlError(
                    message: "\"channel\" must be sms, whatsapp or call, and the fault \(fault) must exist there")
            }
            rule.channel = channel
        }
        return rule
    }

    static func fault(
        _ name: String, code: Int?, ms: Int?, retryAfter: String?, status: Int?
    ) throws(ControlError) -> Fault {
        let status = status ?? 403
        guard (200...599).contains(status) else {
            throw ControlError(message: "\"status\" must be from 200 to 599")
        }
        guard
            let fault = Fault(
                name: name, code: code ?? (name == "undelivered" ? 30003 : 21211), milliseconds: max(ms ?? 3000, 0),
                retryAfter: retryAfter ?? "1", status: status)
        else {
            throw ControlError(message: "unknown fault \(name); known: \(Fault.names.joined(separator: ", "))")
        }
        return fault
    }
}

/// A rule in the body of `POST /_sim/faults`, for a step of SMTP.
struct MailRuleRequest: Decodable {
    var on: String
    var fault: String
    var count: Int?
    var code: Int?
    var text: String?
    var ms: Int?
    var to: String?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case on, fault, count, code, text, ms, to
    }

    init(from decoder: any Decoder) throws {
        try decoder.refuseKeys(besides: CodingKeys.allCases.map(\.rawValue))
        let values = try decoder.container(keyedBy: CodingKeys.self)
        on = try values.decode(String.self, forKey: .on)
        fault = try values.decode(String.self, forKey: .fault)
        count = try values.decodeIfPresent(Int.self, forKey: .count)
        code = try values.decodeIfPresent(Int.self, forKey: .code)
        text = try values.decodeIfPresent(String.self, forKey: .text)
        ms = try values.decodeIfPresent(Int.self, forKey: .ms)
        to = try values.decodeIfPresent(String.self, forKey: .to)
    }

    func rule() throws(ControlError) -> MailFaultPlan.Rule {
        guard let step = MailStep(rawValue: on) else {
            let names = MailStep.allCases.map(\.rawValue).joined(separator: ", ")
            throw ControlError(message: "\"on\" must be one of these steps: \(names)")
        }
        let code = code ?? 451
        guard (400...599).contains(code) else { throw ControlError(message: "\"code\" must be from 400 to 599") }
        guard text?.utf8.allSatisfy({ $0 >= 0x20 }) != false else {
            throw ControlError(message: "\"text\" must be one line")
        }
        guard let fault = MailFault(name: fault, code: code, text: text, milliseconds: max(ms ?? 3000, 0)) else {
            throw ControlError(message: "unknown fault \(fault); known: \(MailFault.names.joined(separator: ", "))")
        }
        if step == .content, fault != .close {
            throw ControlError(message: "while the content arrives, the only fault is close")
        }
        return MailFaultPlan.Rule(step: step, fault: fault, to: to?.lowercased(), remaining: max(count ?? 1, 1))
    }
}
