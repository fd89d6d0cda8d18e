/// The counts of all channels.
extension Simulator {
    /// How many entries a channel keeps, and to how many addresses.
    private struct Kept {
        var entries = 0
        var addresses = 0
        /// Addresses with several entries.
        var repeated = 0

        mutating func add(_ count: Int) {
            entries += count
            addresses += 1
            if count > 1 { repeated += 1 }
        }
    }

    /// `?limit=`: how many addresses `by_to` may list (default 1000). The counts at the top are those of all channels.
    func stats(_ form: Form) -> Answer {
        let limit = min(form.text("limit").flatMap { Int($0) } ?? 1000, Self.maxListed)
        var kept: [Channel: Kept] = [:]
        for entry in store.index.values { kept[entry.channel, default: Kept()].add(entry.count) }
        let others = countByAddress()
        for (channel, counts) in others {
            for count in counts.values { kept[channel, default: Kept()].add(count) }
        }
        var body = Array("{".utf8)
        let all = kept.values
        let values = [
            ("requests", statistics.requests), ("creates", statistics.creates), ("created", statistics.created),
            ("refused", statistics.refused), ("too_many_requests", statistics.tooManyRequests),
            ("unauthorized", statistics.unauthorized), ("concurrent", concurrent),
            ("max_concurrent", statistics.maxConcurrent), ("kept", all.reduce(0) { $0 + $1.entries }),
            ("numbers", all.reduce(0) { $0 + $1.addresses }),
            ("numbers_repeated", all.reduce(0) { $0 + $1.repeated }),
            ("callbacks_sent", statistics.callbacksSent), ("callbacks_failed", statistics.callbacksFailed),
            ("callbacks_unsupported", statistics.callbacksUnsupported),
            ("callbacks_refused", statistics.callbacksRefused), ("feedbacks", statistics.feedbacks),
            ("lookups", statistics.lookups), ("trace_exports", statistics.traceExports),
        ]
        for (name, value) in values { body.append(text: "\"\(name)\": \(value), ") }
        body.append(text: "\"channels\": {")
        for (position, channel) in Channel.allCases.enumerated() {
            body.append(text: position > 0 ? ", " : "")
            append(channel, kept[channel] ?? Kept(), to: &body)
        }
        body.append(text: "}, \"faults\": {")
        for (position, fault) in statistics.faults.sorted(by: { $0.key < $1.key }).enumerated() {
            body.append(text: "\(position > 0 ? ", " : "")\"\(fault.key)\": \(fault.value)")
        }
        body.append(text: "}, \"by_to\": {")
        appendCounts(max(limit, 0), others, to: &body)
        body.append(text: "}}\n")
        return Answer(status: 200, body: body)
    }

    private func append(_ channel: Channel, _ kept: Kept, to body: inout [UInt8]) {
        let counts = statistics[channel]
        var values = [
            ("creates", counts.creates), ("created", counts.created), ("refused", counts.refused),
            ("too_many_requests", counts.tooManyRequests), ("kept", kept.entries), ("numbers", kept.addresses),
            ("numbers_repeated", kept.repeated),
        ]
        if channel == .email {
            values.append(("message_ids", messageIDs.count))
            values.append(("message_ids_repeated", messageIDs.values.count { $0 > 1 }))
        }
        let list = values.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ")
        body.append(text: "\"\(channel.rawValue)\": {\(list)}")
    }

    /// Calls and mails, by their addresses.
    private func countByAddress() -> [Channel: [String: Int]] {
        var counts: [Channel: [String: Int]] = [:]
        calls.walk { call in
            counts[.call, default: [:]][String(utf8: call.to), default: 0] += 1
            return true
        }
        mails.walk { mail in
            for address in mail.to { counts[.email, default: [:]][address.lowercased(), default: 0] += 1 }
            return true
        }
        return counts
    }

    /// The address of a call has the channel's name before it, because an SMS may have gone to the same number.
    private func appendCounts(_ limit: Int, _ others: [Channel: [String: Int]], to body: inout [UInt8]) {
        var listed = 0
        func add(_ address: some Collection<UInt8>, _ count: Int) {
            if listed > 0 { body.append(text: ", ") }
            JSON.append(string: address, to: &body)
            body.append(text: ": \(count)")
            listed += 1
        }
        for entry in store.index.values.prefix(limit) {
            if let message = store.newest(entry) { add(message.to, entry.count) }
        }
        for (channel, counts) in others.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            for (address, count) in counts.prefix(max(limit - listed, 0)) {
                add((channel == .call ? "call:" + address : address).utf8, count)
            }
        }
    }
}
