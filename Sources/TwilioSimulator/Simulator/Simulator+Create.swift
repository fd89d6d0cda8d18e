extension Simulator {
    /// The sender that a messaging service picks.
    private static let serviceSender = Array("+15005550006".utf8)

    /// `POST …/Messages.json`: limits and faults first, then Twilio's checks, then the message.
    func create(_ request: Request, at now: Microseconds, format: TwilioError.Format) -> Reply {
        statistics.creates += 1
        if faults.exceedsLimits(concurrent: concurrent, at: now) {
            statistics.tooManyRequests += 1
            return Fault.tooManyRequests(retryAfter: "1").reply(instead: nil, format: format, to: "", from: "")
        }
        let form = Form(request.body)
        let to = form["To"] ?? []
        let fate = MagicNumbers.fate(to: to)
        var magic: Fault?
        if case .faultOnce(let fault) = fate { magic = fault }
        let fault = faults.fault(.create, to: to, magic: magic, using: &random)
        if let fault {
            statistics.faults[fault.name, default: 0] += 1
            if !fault.takesEffect {
                let reply = fault.reply(
                    instead: nil, format: format, to: String(utf8: to), from: form.text("From") ?? "")
                if reply.delivery == .whole { statistics.countCreate(status: reply.answer.status) }
                return reply
            }
        }
        let reply = honestCreate(form, to: to, fate: fate, at: now, format: format)
        statistics.countCreate(status: reply.answer.status)
        guard let fault else { return reply }
        var faulty = fault.reply(instead: reply, format: format, to: String(utf8: to), from: "")
        faulty.callbacks = reply.callbacks
        return faulty
    }

    private func honestCreate(
        _ form: Form, to: [UInt8], fate: MagicNumbers.Fate?, at now: Microseconds, format: TwilioError.Format
    ) -> Reply {
        let from = form["From"] ?? []
        let service = form["MessagingServiceSid"] ?? []
        let body = form["Body"] ?? []
        let text = String(utf8: body)
        let callback = form.text("StatusCallback") ?? ""
        if let code = refusal(to: to, from: from, service: service, text: text, callback: callback, fate: fate) {
            let error = ErrorCatalog.refusal(code, to: String(utf8: to.prefix(64)), from: String(utf8: from.prefix(64)))
            return Reply(answer: error.answer(format))
        }
        var outcome = Outcome.delivered
        var errorCode: UInt32 = 0
        if case .ends(let fated, let code) = fate { (outcome, errorCode) = (fated, code) }
        let sequence = store.add(
            MessageStore.Draft(
                to: to, from: from.isEmpty ? Self.serviceSender : from, service: service, body: Array(text.utf8),
                segments: Segments.count(text), outcome: outcome, errorCode: errorCode),
            at: now)
        statistics.created += 1
        guard let message = store.message(sequence) else { preconditionFailure("the message just added is missing") }
        var answer: [UInt8] = []
        answer.reserveCapacity(1024)
        resource.append(message, at: now, justCreated: true, to: &answer)
        return Reply(
            answer: Answer(status: 201, body: answer),
            callbacks: callback.isEmpty ? [] : callbacks(for: message, to: callback))
    }

    /// Twilio's error code for a refusal, or nil.
    private func refusal(
        to: [UInt8], from: [UInt8], service: [UInt8], text: String, callback: String, fate: MagicNumbers.Fate?
    ) -> Int? {
        if to.isEmpty { return 21604 }
        if from.isEmpty && service.isEmpty { return 21603 }
        if text.isEmpty { return 21602 }
        if to.count > 64 || !Self.couldBeAddress(to) { return 21211 }
        if from.count > 64 { return 21212 }
        if !service.isEmpty, service.count != 34 || !service.starts(with: "MG".utf8) { return 21701 }
        if let code = MagicNumbers.refusal(from: from) { return code }
        if text.utf16.count > 1600 { return 21617 }
        if !callback.isEmpty, !callback.hasPrefix("http://"), !callback.hasPrefix("https://") { return 21609 }
        if case .refused(let code) = fate { return code }
        return nil
    }

    /// `+` and 8 to 15 digits, or a channel address such as `whatsapp:+1…`.
    private static func couldBeAddress(_ to: [UInt8]) -> Bool {
        if to.contains(UInt8(ascii: ":")) { return to.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
        return (9...16).contains(to.count) && to[0] == UInt8(ascii: "+")
            && to.dropFirst().allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    private func callbacks(for message: Message, to url: String) -> [ScheduledCallback] {
        guard let url = CallbackURL(url) else {
            statistics.callbacksUnsupported += 1
            return []
        }
        guard access.allowsCallback(to: url.host) else {
            statistics.callbacksRefused += 1
            return []
        }
        let timeline = StatusTimeline(
            outcome: message.record.outcome, viaService: message.viaService, delays: settings.delays)
        return CallbackSchedule.plan(timeline, disorder: faults.callbacks, using: &random).map { planned in
            ScheduledCallback(
                callback: Callback(
                    url: url, status: planned.status, messageSID: String(utf8: sids.sid(message.sequence)),
                    accountSID: settings.accountSID, to: String(utf8: message.to), from: String(utf8: message.from),
                    serviceSID: String(utf8: message.service), errorCode: message.record.errorCode),
                afterMilliseconds: planned.afterMilliseconds)
        }
    }
}
