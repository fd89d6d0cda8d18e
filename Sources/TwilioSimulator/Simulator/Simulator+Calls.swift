extension Simulator {
    private static let maxTwiML = 4000

    /// `POST …/Calls.json`.
    func createCall(_ request: Request, at now: Microseconds, format: TwilioError.Format) -> Reply {
        let form = Form(request.body)
        return create(form, .call, at: now, format: format) { fate, fault in
            honestCall(form, fate: fate, fault: fault, at: now, format: format)
        }
    }

    private func honestCall(
        _ form: Form, fate: MagicNumbers.Fate?, fault: Fault?, at now: Microseconds, format: TwilioError.Format
    ) -> Reply {
        let to = form["To"] ?? []
        let from = form["From"] ?? []
        let words: String
        do {
            words = try callWords(form, to: to, from: from, fate: fate)
        } catch {
            let refusal = ErrorCatalog.refusal(
                error.code, to: String(utf8: to.prefix(64)), from: String(utf8: from.prefix(64)))
            return Reply(answer: refusal.answer(format))
        }
        var outcome = CallOutcome.completed
        if case .callEnds(let fated) = fate { outcome = fated }
        if case .ends(let wanted) = fault { outcome = wanted }
        let url = (form.text("StatusCallback")).flatMap { $0.isEmpty ? nil : $0 }
        let call = Call(
            sequence: calls.next, createdAt: now, startsMilliseconds: nextStart(at: now), to: to, from: from,
            words: words, outcome: outcome, callback: url.map { .init(url: $0, events: Self.events(form)) })
        calls.add(call)
        statistics[.call].created += 1
        var answer: [UInt8] = []
        callResource.append(call, at: now, justCreated: true, to: &answer)
        return Reply(answer: Answer(status: 201, body: answer), callbacks: callbacks(for: call))
    }

    /// The words of a new call. Throws Twilio's error code for a refusal.
    private func callWords(
        _ form: Form, to: [UInt8], from: [UInt8], fate: MagicNumbers.Fate?
    ) throws(TwiML.Invalid) -> String {
        if to.isEmpty { throw TwiML.Invalid(code: 21201) }
        if from.isEmpty { throw TwiML.Invalid(code: 21213) }
        guard Self.isNumber(to) else { throw TwiML.Invalid(code: 21211) }
        // A call needs a number: no name, no short code, no messaging service.
        guard Self.isNumber(from) else { throw TwiML.Invalid(code: 21212) }
        if let code = MagicNumbers.refusal(from: from, .call) { throw TwiML.Invalid(code: code) }
        for name in [form["StatusCallback"], form["Url"]].compactMap({ $0 }) where !name.isEmpty {
            guard name.starts(with: "http://".utf8) || name.starts(with: "https://".utf8) else {
                throw TwiML.Invalid(code: name == form["Url"] ? 21205 : 21609)
            }
        }
        for field in form.fields where field.name.elementsEqual("StatusCallbackEvent".utf8) {
            guard Self.eventNames(field.value).allSatisfy({ CallEventName(rawValue: $0) != nil }) else {
                throw TwiML.Invalid(code: 21626)
            }
        }
        if let timeout = form.text("Timeout"), Int(timeout).map({ (1...600).contains($0) }) != true {
            throw TwiML.Invalid(code: 20001)
        }
        let document = form.text("Twiml") ?? ""
        guard !document.isEmpty || form["Url"]?.isEmpty == false else { throw TwiML.Invalid(code: 21205) }
        // Twilio fetches the document of a Url. The simulator does not, and the call has no words.
        let words = document.isEmpty ? "" : try TwiML(document, maxCharacters: Self.maxTwiML).words
        if case .refused(let code) = fate { throw TwiML.Invalid(code: code) }
        return words
    }

    private static func isNumber(_ address: [UInt8]) -> Bool {
        couldBeAddress(address) && !address.contains(UInt8(ascii: ":"))
    }

    private static func events(_ form: Form) -> Set<CallEventName> {
        let fields = form.fields.filter { $0.name.elementsEqual("StatusCallbackEvent".utf8) }
        let names = fields.flatMap { eventNames($0.value) }
        return names.isEmpty ? [.completed] : Set(names.compactMap { CallEventName(rawValue: $0) })
    }

    /// Twilio takes a field for each event, and several in one field.
    private static func eventNames(_ value: [UInt8]) -> [String] {
        String(utf8: value).split(separator: " ").map(String.init)
    }

    /// When a call that is created now leaves the queue, in milliseconds from now.
    private func nextStart(at now: Microseconds) -> Int {
        guard faults.callsPerSecond > 0 else { return 0 }
        let start = max(now, nextCallStart)
        nextCallStart = start + Int64(1_000_000 / faults.callsPerSecond)
        return Int((start - now + 999) / 1000)
    }

    /// `POST …/Calls/CA….json` with `Status`: ends the call.
    func updateCall(_ call: Call, _ request: Request, at now: Microseconds) -> Result<Reply, TwilioError> {
        let form = Form(request.body)
        guard let status = form.text("Status"), status == "canceled" || status == "completed" else {
            return .failure(ErrorCatalog.invalidParameter("Status", "must be canceled or completed"))
        }
        let current = callResource.step(of: call, at: now).status
        let isAnswered = current == .inProgress
        guard !current.isFinal, status == "completed" || !isAnswered else {
            return .failure(ErrorCatalog.refusal(21220, to: "", from: ""))
        }
        var ended = call
        ended.end = CallTimeline.Step(
            status: isAnswered ? .completed : .canceled, afterMilliseconds: Int((now - call.createdAt) / 1000))
        calls.update(call.sequence) { $0 = ended }
        let last = callbacks(for: ended).filter { $0.callback.status == ended.end?.status.rawValue }.map {
            ScheduledCallback(callback: $0.callback, afterMilliseconds: 0)
        }
        return .success(Reply(answer: answer(ended, at: now), callbacks: last))
    }

    func answer(_ call: Call, at now: Microseconds) -> Answer {
        var body: [UInt8] = []
        callResource.append(call, at: now, to: &body)
        return Answer(status: 200, body: body)
    }

    private func callbacks(for call: Call) -> [ScheduledCallback] {
        guard let target = call.callback, let url = callbackURL(target.url) else { return [] }
        let timeline = call.timeline(settings.delays)
        let steps = timeline.steps.filter { step in CallEventName(step.status).map(target.events.contains) ?? false }
        return CallbackSchedule.plan(steps, disorder: faults.callbacks, using: &random).map { planned in
            let event = CallEvent(
                status: planned.status, call: call.sequence, callSID: String(utf8: callSIDs.sid(call.sequence)),
                accountSID: settings.accountSID, to: String(utf8: call.to), from: String(utf8: call.from),
                position: (timeline.steps.firstIndex { $0.status == planned.status } ?? 1) - 1,
                at: call.createdAt + Int64(timeline.milliseconds(of: planned.status) ?? 0) * 1000,
                durationSeconds: timeline.durationSeconds)
            return ScheduledCallback(
                callback: Callback(url: url, event: .call(event)), afterMilliseconds: planned.afterMilliseconds)
        }
    }

    /// Whether a callback is still to be sent. Those of a call that ended early, or was deleted, are not.
    func isDue(_ callback: Callback) -> Bool {
        guard case .call(let event) = callback.event else { return true }
        guard let call = calls[event.call] else { return false }
        return call.timeline(settings.delays).steps.contains {
            $0.status == event.status && call.createdAt + Int64($0.afterMilliseconds) * 1000 == event.at
        }
    }
}
