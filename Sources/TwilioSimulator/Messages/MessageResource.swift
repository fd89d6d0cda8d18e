/// Prints messages as Twilio's 2010 API does: `", "` and `": "`, ASCII only, with `num_segments` and `price` as
/// strings.
struct MessageResource {
    private let prefix: [UInt8]
    private let uriPrefix: [UInt8]
    private let sids: SIDCodec
    private let delays: StatusDelays
    /// The last date printed. Most answers print the same second three times.
    private var dateSecond: Int64 = -1
    private var dateText: [UInt8] = []

    init(accountSID: String, sids: SIDCodec, delays: StatusDelays) {
        prefix = Array("{\"account_sid\": \"\(accountSID)\", \"api_version\": \"2010-04-01\", \"body\": ".utf8)
        uriPrefix = Array("/2010-04-01/Accounts/\(accountSID)/Messages/".utf8)
        self.sids = sids
        self.delays = delays
    }

    /// The state of a message at one moment.
    struct State: Equatable {
        var status: MessageStatus
        var updatedAt: Microseconds
        /// Nil until it has been sent.
        var sentAt: Microseconds?
        /// Nil unless it ended undelivered or failed.
        var errorCode: UInt32?
    }

    func state(of message: Message, at now: Microseconds, justCreated: Bool = false) -> State {
        let record = message.record
        let timeline = StatusTimeline(outcome: record.outcome, viaService: message.viaService, delays: delays)
        let step = timeline.step(ageMicroseconds: now - record.createdAt, justCreated: justCreated)
        var state = State(
            status: step.status, updatedAt: record.createdAt + Int64(step.afterMilliseconds) * 1000)
        switch step.status {
        case .accepted, .queued, .sending: break
        case .sent, .delivered, .undelivered, .failed, .read:
            state.sentAt = timeline.sentAfterMilliseconds.map { record.createdAt + Int64($0) * 1000 }
        }
        if step.status == .undelivered || step.status == .failed { state.errorCode = record.errorCode }
        return state
    }

    /// Appends the resource.
    mutating func append(
        _ message: Message, at now: Microseconds, justCreated: Bool = false, to output: inout [UInt8]
    ) {
        let state = state(of: message, at: now, justCreated: justCreated)
        let sid = sids.sid(message.sequence)
        let assigned = state.status != .accepted
        output.append(contentsOf: prefix)
        JSON.append(string: message.body, to: &output)
        output.append(text: ", \"date_created\": ")
        append(date: message.record.createdAt, to: &output)
        output.append(text: ", \"date_sent\": ")
        if let sentAt = state.sentAt { append(date: sentAt, to: &output) } else { output.append(text: "null") }
        output.append(text: ", \"date_updated\": ")
        append(date: state.updatedAt, to: &output)
        output.append(text: ", \"direction\": \"outbound-api\", \"error_code\": ")
        if let code = state.errorCode {
            output.append(number: code)
            output.append(text: ", \"error_message\": ")
            JSON.append(string: ErrorCatalog.deliveryMessage(Int(code)), to: &output)
        } else {
            output.append(text: "null, \"error_message\": null")
        }
        output.append(text: ", \"from\": ")
        append(optional: assigned ? message.from : [], to: &output)
        output.append(text: ", \"messaging_service_sid\": ")
        append(optional: message.service, to: &output)
        output.append(text: ", \"num_media\": \"0\", \"num_segments\": \"")
        output.append(number: assigned ? message.record.segments : 0)
        output.append(text: "\", \"price\": ")
        // Billed per segment once sent. Undelivered messages are billed as well, failed ones are not.
        if state.sentAt != nil {
            let fee = message.channel == .whatsapp ? 500 : 750
            output.append(text: "\"-\(Self.price(segments: Int(message.record.segments), fee: fee))\"")
        } else {
            output.append(text: "null")
        }
        output.append(text: ", \"price_unit\": \"USD\", \"sid\": \"")
        output.append(contentsOf: sid)
        output.append(text: "\", \"status\": \"")
        output.append(text: state.status.rawValue)
        output.append(text: "\", \"subresource_uris\": {\"media\": \"")
        output.append(contentsOf: uriPrefix)
        output.append(contentsOf: sid)
        output.append(text: "/Media.json\"}, \"to\": ")
        JSON.append(string: message.to, to: &output)
        output.append(text: ", \"uri\": \"")
        output.append(contentsOf: uriPrefix)
        output.append(contentsOf: sid)
        output.append(text: ".json\"}")
    }

    /// The fee of a segment, in 0.00001: 0.00750 for SMS. Five decimals.
    static func price(segments: Int, fee: Int) -> String {
        let units = segments * fee
        let fraction = String(units % 100_000)
        return "\(units / 100_000)." + String(repeating: "0", count: 5 - fraction.count) + fraction
    }

    private func append(optional bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        if bytes.isEmpty { output.append(text: "null") } else { JSON.append(string: bytes, to: &output) }
    }

    private mutating func append(date: Microseconds, to output: inout [UInt8]) {
        let second = date / 1_000_000
        if second != dateSecond {
            dateSecond = second
            dateText = Array("\"\(Dates.rfc2822(seconds: second))\"".utf8)
        }
        output.append(contentsOf: dateText)
    }
}
