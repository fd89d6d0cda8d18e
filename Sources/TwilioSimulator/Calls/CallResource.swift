/// Prints calls as Twilio's 2010 API does.
struct CallResource {
    private let accountSID: String
    private let sids: SIDCodec
    private let delays: StatusDelays

    init(accountSID: String, sids: SIDCodec, delays: StatusDelays) {
        self.accountSID = accountSID
        self.sids = sids
        self.delays = delays
    }

    /// The step of a call at one moment.
    func step(of call: Call, at now: Microseconds) -> CallTimeline.Step {
        call.timeline(delays).step(ageMicroseconds: now - call.createdAt)
    }

    /// When the call left the queue; nil while it waits, and if it was canceled there.
    func startedAt(_ call: Call, at now: Microseconds) -> Microseconds? {
        guard let starts = call.timeline(delays).milliseconds(of: .initiated) else { return nil }
        let started = call.createdAt + Int64(starts) * 1000
        return started <= now ? started : nil
    }

    /// Appends the resource. Twilio's answer to a create has no dates yet.
    func append(_ call: Call, at now: Microseconds, justCreated: Bool = false, to output: inout [UInt8]) {
        let timeline = call.timeline(delays)
        let step = timeline.step(ageMicroseconds: now - call.createdAt, justCreated: justCreated)
        let reached = call.createdAt + Int64(step.afterMilliseconds) * 1000
        let isOver = step.status.isFinal
        let wasAnswered = timeline.milliseconds(of: .inProgress) != nil
        let started = justCreated ? nil : startedAt(call, at: now)
        let sid = String(utf8: sids.sid(call.sequence))
        let uri = "/2010-04-01/Accounts/\(accountSID)/Calls/\(sid)"
        let parts = ["Notifications", "Recordings", "Events"].map { "\"\($0.lowercased())\": \"\(uri)/\($0).json\"" }
        output.append(text: "{\"account_sid\": \"\(accountSID)\", \"annotation\": null, \"answered_by\": null, ")
        output.append(text: "\"api_version\": \"2010-04-01\", \"caller_name\": null, ")
        output.append(text: "\"date_created\": \(Self.date(justCreated ? nil : call.createdAt)), ")
        output.append(text: "\"date_updated\": \(Self.date(justCreated ? nil : reached)), ")
        output.append(text: "\"direction\": \"outbound-api\", ")
        output.append(text: "\"duration\": \(isOver ? "\"\(timeline.durationSeconds)\"" : "null"), ")
        output.append(text: "\"end_time\": \(Self.date(isOver ? reached : nil)), \"forwarded_from\": null")
        for (name, value) in [("from", call.from), ("to", call.to)] {
            output.append(text: ", \"\(name)\": ")
            JSON.append(string: value, to: &output)
            output.append(text: ", \"\(name)_formatted\": ")
            JSON.append(string: value, to: &output)
        }
        output.append(text: ", \"group_sid\": null, \"parent_call_sid\": null, \"phone_number_sid\": null, \"price\": ")
        output.append(text: isOver && wasAnswered ? "\"-\(Self.price(seconds: timeline.durationSeconds))\"" : "null")
        output.append(
            text: ", \"price_unit\": \"USD\", \"queue_time\": \"\(started == nil ? 0 : call.startsMilliseconds)\", ")
        output.append(text: "\"sid\": \"\(sid)\", \"start_time\": \(Self.date(started)), ")
        output.append(text: "\"status\": \"\(step.status.rawValue)\", \"subresource_uris\": {")
        output.append(text: "\(parts.joined(separator: ", "))}, \"trunk_sid\": \"\", \"uri\": \"\(uri).json\"}")
    }

    /// 0.01300 for each minute that began, five decimals.
    static func price(seconds: Int) -> String {
        let units = (seconds + 59) / 60 * 1300
        let fraction = String(units % 100_000)
        return "\(units / 100_000)." + String(repeating: "0", count: 5 - fraction.count) + fraction
    }

    private static func date(_ time: Microseconds?) -> String {
        time.map { "\"\(Dates.rfc2822(seconds: $0 / 1_000_000))\"" } ?? "null"
    }
}
