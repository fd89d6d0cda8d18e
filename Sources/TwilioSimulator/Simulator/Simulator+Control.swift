/// The control API under `/_sim/`. `Access` decides which requests get here.
extension Simulator {
    private static let maxListed = 100_000

    func control(_ request: Request, at now: Microseconds) -> Answer {
        let form = Form(request.query.utf8)
        switch (request.method, request.path) {
        case (.get, "/healthz"): return Answer(status: 200, content: .text, body: Array("ok\n".utf8))
        case (.get, "/_sim/inbox"): return inbox(form, at: now)
        case (.get, "/_sim/stats"): return stats(form)
        case (.post, "/_sim/reset"): return done { try reset() }
        case (.post, "/_sim/faults"): return done { try applyFaults(request.body) }
        default: return Self.failure(404, "no such control: \(request.path)")
        }
    }

    /// Applies a faults object. Throws a `ControlError` and changes nothing if it is invalid.
    func applyFaults(_ json: [UInt8]) throws {
        let request = try FaultRequest.parse(json)
        try request.apply(to: &faults)
        if let token = request.authToken { credentials.authToken = token }
    }

    private func done(_ action: () throws -> Void) -> Answer {
        do {
            try action()
            return Answer(status: 200, body: Array("{\"ok\": true}\n".utf8))
        } catch let error as ControlError {
            return Self.failure(400, error.message)
        } catch {
            return Self.failure(500, "\(error)")
        }
    }

    private static func failure(_ status: Int, _ message: String) -> Answer {
        var body = Array("{\"error\": ".utf8)
        JSON.append(string: message, to: &body)
        body.append(text: "}\n")
        return Answer(status: status, body: body)
    }

    /// `?to=&sid=&limit=&before=`: newest first. `before` is the SID after which the page begins.
    private func inbox(_ form: Form, at now: Microseconds) -> Answer {
        let limit = min(form.text("limit").flatMap { Int($0) } ?? 100, Self.maxListed)
        let before = form["before"].map { sids.sequence(of: $0) ?? -1 } ?? Int.max
        var body = Array("{\"messages\": [".utf8)
        var listed = 0
        func add(_ message: Message) {
            if listed > 0 { body.append(text: ",") }
            body.append(text: "\n")
            append(inbox: message, at: now, to: &body)
            listed += 1
        }
        if let sid = form["sid"] {
            if let message = sids.sequence(of: sid).flatMap({ store.message($0) }) { add(message) }
        } else if limit > 0 {
            store.walk(to: form["to"].map(Self.unspaced)) { message in
                if message.sequence < before { add(message) }
                return listed < limit
            }
        }
        body.append(text: "\n], \"count\": \(listed)}\n")
        return Answer(status: 200, body: body)
    }

    private func append(inbox message: Message, at now: Microseconds, to body: inout [UInt8]) {
        let state = resource.state(of: message, at: now)
        body.append(text: "{\"sid\": \"")
        sids.append(message.sequence, to: &body)
        body.append(text: "\", \"to\": ")
        JSON.append(string: message.to, ascii: false, to: &body)
        body.append(text: ", \"from\": ")
        JSON.append(string: message.from, ascii: false, to: &body)
        body.append(text: ", \"body\": ")
        JSON.append(string: message.body, ascii: false, to: &body)
        body.append(text: ", \"received_at\": \(message.record.createdAt), \"status\": \"\(state.status.rawValue)\"")
        body.append(text: ", \"error_code\": \(state.errorCode.map(String.init) ?? "null")}")
    }

    /// `?limit=`: how many numbers `by_to` may list (default 1000).
    private func stats(_ form: Form) -> Answer {
        let limit = min(form.text("limit").flatMap { Int($0) } ?? 1000, Self.maxListed)
        var repeated = 0
        for entry in store.index.values where entry.count > 1 { repeated += 1 }
        let values = [
            ("requests", statistics.requests), ("creates", statistics.creates), ("created", statistics.created),
            ("refused", statistics.refused), ("too_many_requests", statistics.tooManyRequests),
            ("unauthorized", statistics.unauthorized), ("concurrent", concurrent),
            ("max_concurrent", statistics.maxConcurrent), ("kept", store.next - store.first),
            ("numbers", store.index.count), ("numbers_repeated", repeated),
            ("callbacks_sent", statistics.callbacksSent), ("callbacks_failed", statistics.callbacksFailed),
            ("callbacks_unsupported", statistics.callbacksUnsupported),
            ("callbacks_refused", statistics.callbacksRefused),
        ]
        var body = Array("{".utf8)
        for (name, value) in values { body.append(text: "\"\(name)\": \(value), ") }
        body.append(text: "\"faults\": {")
        for (position, fault) in statistics.faults.sorted(by: { $0.key < $1.key }).enumerated() {
            body.append(text: "\(position > 0 ? ", " : "")\"\(fault.key)\": \(fault.value)")
        }
        body.append(text: "}, \"by_to\": {")
        for (position, entry) in store.index.values.prefix(max(limit, 0)).enumerated() {
            guard let message = store.newest(entry) else { continue }
            if position > 0 { body.append(text: ", ") }
            JSON.append(string: message.to, to: &body)
            body.append(text: ": \(entry.count)")
        }
        body.append(text: "}}\n")
        return Answer(status: 200, body: body)
    }

    /// An unencoded `+` in a query arrives as a space.
    private static func unspaced(_ to: [UInt8]) -> [UInt8] {
        to.first == UInt8(ascii: " ") ? [UInt8(ascii: "+")] + to.dropFirst() : to
    }
}
