/// The inbox of all channels.
extension Simulator {
    private enum Entry {
        case message(Message)
        case call(Call)
        case mail(Mail)

        /// Entries are in this order. Those of one channel are in the order of their sequence numbers.
        var order: (Microseconds, Int, Int) {
            switch self {
            case .message(let message): (message.record.createdAt, 0, message.sequence)
            case .call(let call): (call.createdAt, 1, call.sequence)
            case .mail(let mail): (mail.receivedAt, 2, mail.sequence)
            }
        }
    }

    /// `?to=&sid=&limit=&before=&channel=`: newest first. `before` is the SID after which the page begins.
    func inbox(_ form: Form, at now: Microseconds) throws(ControlError) -> Answer {
        let limit = min(form.text("limit").flatMap { Int($0) } ?? 100, Self.maxListed)
        var channels = Set(Channel.allCases)
        if let name = form.text("channel") { channels = [try Self.channel(name)] }
        var entries: [Entry] = []
        if let sid = form["sid"] {
            entries = [entry(sid)].compactMap { $0 }
        } else if limit > 0 {
            let before = form["before"]
            let bound = before.flatMap { entry($0)?.order }
            // Nothing is behind an unknown SID.
            if before == nil || bound != nil {
                entries = newest(limit, to: form["to"].map(Self.unspaced), channels, behind: bound)
            }
        }
        var body = Array("{\"messages\": [".utf8)
        for (position, entry) in entries.enumerated() {
            body.append(text: position > 0 ? ",\n" : "\n")
            append(entry, at: now, to: &body)
        }
        body.append(text: "\n], \"count\": \(entries.count)}\n")
        return Answer(status: 200, body: body)
    }

    private func entry(_ sid: [UInt8]) -> Entry? {
        if let message = sids.sequence(of: sid).flatMap({ store.message($0) }) { return .message(message) }
        if let call = callSIDs.sequence(of: sid).flatMap({ calls[$0] }) { return .call(call) }
        return mailSIDs.sequence(of: sid).flatMap { mails[$0] }.map { .mail($0) }
    }

    /// The newest entries. `to` is a number, which WhatsApp and calls have too, or any other address.
    private func newest(
        _ limit: Int, to: [UInt8]?, _ channels: Set<Channel>, behind bound: (Microseconds, Int, Int)?
    ) -> [Entry] {
        var found: [Entry] = []
        var count = 0
        /// Whether the walk goes on.
        func take(_ entry: Entry) -> Bool {
            guard bound.map({ entry.order < $0 }) ?? true else { return true }
            found.append(entry)
            count += 1
            return count < limit
        }
        let addresses: [[UInt8]?] =
            to.map { [$0, $0.first == UInt8(ascii: "+") ? Channel.whatsapp.address($0) : nil] } ?? [nil]
        for address in addresses where (address == nil) == (to == nil) {
            count = 0
            store.walk(to: address) { message in
                channels.contains(message.channel) ? take(.message(message)) : true
            }
        }
        if channels.contains(.call) {
            count = 0
            calls.walk { call in to == nil || call.to == to ? take(.call(call)) : true }
        }
        if channels.contains(.email) {
            count = 0
            let wanted = to.map { String(utf8: $0).lowercased() }
            mails.walk { mail in
                wanted == nil || mail.to.contains { $0.lowercased() == wanted } ? take(.mail(mail)) : true
            }
        }
        // Those of one channel are in order already.
        let isMixed = found.contains { $0.order.1 != found[0].order.1 } || addresses.count > 1
        return Array((isMixed ? found.sorted { $0.order > $1.order } : found).prefix(limit))
    }

    private func append(_ entry: Entry, at now: Microseconds, to body: inout [UInt8]) {
        switch entry {
        case .message(let message):
            let state = resource.state(of: message, at: now)
            append(sids.sid(message.sequence), to: message.to, from: message.from, message.body, &body)
            body.append(text: "\(message.record.createdAt), \"status\": \"\(state.status.rawValue)\", \"error_code\": ")
            body.append(text: state.errorCode.map(String.init) ?? "null")
            let feedback = message.record.feedback
            body.append(text: ", \"feedback\": \(feedback == .none ? "null" : "\"\(feedback)\"")")
            appendEnd(message.channel, String(utf8: message.body), &body)
        case .call(let call):
            append(callSIDs.sid(call.sequence), to: call.to[...], from: call.from[...], call.words.utf8, &body)
            let status = callResource.step(of: call, at: now).status.rawValue
            body.append(text: "\(call.createdAt), \"status\": \"\(status)\", \"error_code\": null")
            appendEnd(.call, call.words, &body)
        case .mail(let mail):
            let to = Array(mail.to.joined(separator: ", ").utf8)
            append(
                mailSIDs.sid(mail.sequence), to: to[...], from: Array(mail.from.utf8)[...], mail.content.text.utf8,
                &body)
            body.append(text: "\(mail.receivedAt), \"status\": \"received\", \"error_code\": null, \"subject\": ")
            JSON.append(string: mail.content.subject, ascii: false, to: &body)
            body.append(text: ", \"message_id\": ")
            JSON.append(string: mail.content.messageID, ascii: false, to: &body)
            body.append(text: ", \"html\": ")
            if let html = mail.content.html {
                JSON.append(string: html, ascii: false, to: &body)
            } else {
                body.append(text: "null")
            }
            appendEnd(.email, mail.content.text, &body)
        }
    }

    /// The fields up to `received_at`.
    private func append(
        _ sid: [UInt8], to: ArraySlice<UInt8>, from: ArraySlice<UInt8>, _ text: some Collection<UInt8>,
        _ body: inout [UInt8]
    ) {
        body.append(text: "{\"sid\": \"")
        body.append(contentsOf: sid)
        body.append(text: "\", \"to\": ")
        JSON.append(string: to, ascii: false, to: &body)
        body.append(text: ", \"from\": ")
        JSON.append(string: from, ascii: false, to: &body)
        body.append(text: ", \"body\": ")
        JSON.append(string: text, ascii: false, to: &body)
        body.append(text: ", \"received_at\": ")
    }

    private func appendEnd(_ channel: Channel, _ text: String, _ body: inout [UInt8]) {
        body.append(text: ", \"channel\": \"\(channel.rawValue)\", \"code\": ")
        if let code = CodeFinder.code(in: text) {
            JSON.append(string: code, to: &body)
        } else {
            body.append(text: "null")
        }
        body.append(text: "}")
    }

    /// An unencoded `+` in a query arrives as a space.
    private static func unspaced(_ to: [UInt8]) -> [UInt8] {
        to.first == UInt8(ascii: " ") ? [UInt8(ascii: "+")] + to.dropFirst() : to
    }
}
