/// The control API under `/_sim/`. `Access` decides which requests get here.
extension Simulator {
    static let maxListed = 100_000

    func control(_ request: Request, at now: Microseconds) -> Answer {
        let form = Form(request.query.utf8)
        switch (request.method, request.path) {
        case (.get, "/healthz"): return Answer(status: 200, content: .text, body: Array("ok\n".utf8))
        case (.get, "/_sim/inbox"): return controlled { try inbox(form, at: now) }
        case (.get, "/_sim/stats"): return stats(form)
        case (.post, "/_sim/reset"): return done { try reset(form) }
        case (.post, "/_sim/faults"): return done { try applyFaults(request.body) }
        default: return Self.failure(404, "no such control: \(request.path)")
        }
    }

    /// `?channel=` for one channel.
    private func reset(_ form: Form) throws {
        guard let name = form.text("channel") else { return try reset() }
        reset(try Self.channel(name))
    }

    static func channel(_ name: String) throws(ControlError) -> Channel {
        guard let channel = Channel(rawValue: name) else {
            let names = Channel.allCases.map(\.rawValue).joined(separator: ", ")
            throw ControlError(message: "no channel \(name); known: \(names)")
        }
        return channel
    }

    /// Applies a faults object. Throws a `ControlError` and changes nothing if it is invalid.
    func applyFaults(_ json: [UInt8]) throws {
        let request = try FaultRequest.parse(json)
        try request.apply(to: &faults)
        if let token = request.authToken { credentials.authToken = token }
    }

    private func done(_ action: () throws -> Void) -> Answer {
        controlled {
            try action()
            return Answer(status: 200, body: Array("{\"ok\": true}\n".utf8))
        }
    }

    private func controlled(_ action: () throws -> Answer) -> Answer {
        do {
            return try action()
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
}
