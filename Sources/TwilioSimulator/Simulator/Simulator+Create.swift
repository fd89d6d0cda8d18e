extension Simulator {
    /// The sender that a messaging service picks.
    private static let serviceSender = Array("+15005550006".utf8)

    /// `POST …/Messages.json`.
    func createMessage(_ request: Request, at now: Microseconds, format: TwilioError.Format) -> Reply {
        let form = Form(request.body)
        let channel = Channel.ofMessage(to: form["To"] ?? [])
        return create(form, channel, at: now, format: format) { fate, fault in
            honestMessage(form, channel, fate: fate, fault: fault, at: now, format: format)
        }
    }

    /// Limits and faults first, then `honest`: Twilio's checks, and the message or the call.
    func create(
        _ form: Form, _ channel: Channel, at now: Microseconds, format: TwilioError.Format,
        _ honest: (MagicNumbers.Fate?, Fault?) -> Reply
    ) -> Reply {
        statistics[channel].creates += 1
        if faults.exceedsLimits(concurrent: concurrent, at: now) {
            statistics[channel].tooManyRequests += 1
            return Fault.tooManyRequests(retryAfter: "1").reply(instead: nil, format: format, to: "", from: "")
        }
        let to = form["To"] ?? []
        let fate = MagicNumbers.fate(to: channel.number(to), channel)
        var magic: Fault?
        if case .faultOnce(let fault) = fate { magic = fault }
        let fault = faults.fault(.create, channel, to: to, magic: magic, using: &random)
        if let fault {
            statistics.count(fault: fault.name)
            if !fault.takesEffect {
                let reply = fault.reply(
                    instead: nil, format: format, to: String(utf8: to), from: form.text("From") ?? "")
                if reply.delivery == .whole { statistics.countCreate(channel, status: reply.answer.status) }
                return reply
            }
        }
        let reply = honest(fate, fault)
        statistics.countCreate(channel, status: reply.answer.status)
        guard let fault else { return reply }
        var faulty = fault.reply(instead: reply, format: format, to: String(utf8: to), from: "")
        faulty.callbacks = reply.callbacks
        return faulty
    }

    private func honestMessage(
        _ form: Form, _ channel: Channel, fate: MagicNumbers.Fate?, fault: Fault?, at now: Microseconds,
        format: TwilioError.Format
    ) -> Reply {
        let to = form["To"] ?? []
        let from = form["From"] ?? []
        let service = form["MessagingServiceSid"] ?? []
        let callback = form.text("StatusCallback") ?? ""
        func refused(_ code: Int) -> Reply {
            let error = ErrorCatalog.refusal(code, to: String(utf8: to.prefix(64)), from: String(utf8: from.prefix(64)))
            return Reply(answer: error.answer(format))
        }
        let text: MessageText
        do {
            if let code = addressRefusal(to: to, from: from, service: service, channel) { return refused(code) }
            text = try MessageText(
                form, channel, templates: settings.templates, isWindowOpen: faults.isWhatsAppWindowOpen)
        } catch {
            return refused(error.code)
        }
        if let code = refusal(from: from, service: service, channel, callback: callback, fate: fate) {
            return refused(code)
        }
        var (outcome, errorCode) = (Outcome.delivered, UInt32(0))
        if case .ends(let fated, let code) = fate { (outcome, errorCode) = (fated, code) }
        if let code = text.deliveryError { (outcome, errorCode) = (.undelivered, code) }
        if case .undelivered(let code) = fault { (outcome, errorCode) = (.undelivered, UInt32(clamping: code)) }
        let sequence = store.add(
            MessageStore.Draft(
                to: to, from: from.isEmpty ? channel.address(Self.serviceSender) : from, service: service,
                body: Array(text.text.utf8), segments: channel == .whatsapp ? 1 : Segments.count(text.text),
                outcome: outcome, errorCode: errorCode,
                wantsFeedback: form.text("ProvideFeedback")?.lowercased() == "true"),
            at: now)
        statistics[channel].created += 1
        guard let message = store.message(sequence) else { preconditionFailure("the message just added is missing") }
        var answer: [UInt8] = []
        answer.reserveCapacity(1024)
        resource.append(message, at: now, justCreated: true, to: &answer)
        return Reply(
            answer: Answer(status: 201, body: answer),
            callbacks: callback.isEmpty ? [] : callbacks(for: message, to: callback))
    }

    /// Twilio's error code for missing and wrong addresses, or nil.
    private func addressRefusal(to: [UInt8], from: [UInt8], service: [UInt8], _ channel: Channel) -> Int? {
        if to.isEmpty { return 21604 }
        if from.isEmpty && service.isEmpty { return 21603 }
        if to.count > 64 || !Self.couldBeAddress(channel.number(to)) { return 21211 }
        if from.count > 64 { return 21212 }
        if !from.isEmpty, Channel.ofMessage(to: from) != channel { return 21910 }
        return nil
    }

    /// Twilio's error code for a refusal of the rest, or nil.
    private func refusal(
        from: [UInt8], service: [UInt8], _ channel: Channel, callback: String, fate: MagicNumbers.Fate?
    ) -> Int? {
        if !service.isEmpty, service.count != 34 || !service.starts(with: "MG".utf8) { return 21701 }
        if channel == .whatsapp, !from.isEmpty, !Self.couldBeAddress(channel.number(from)) { return 63007 }
        if let code = MagicNumbers.refusal(from: channel.number(from), channel) { return code }
        if !callback.isEmpty, !callback.hasPrefix("http://"), !callback.hasPrefix("https://") { return 21609 }
        if case .refused(let code) = fate { return code }
        return nil
    }

    /// `+` and 8 to 15 digits, or an address of another channel such as `messenger:1`.
    static func couldBeAddress(_ to: [UInt8]) -> Bool {
        if to.contains(UInt8(ascii: ":")) { return to.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
        return (9...16).contains(to.count) && to[0] == UInt8(ascii: "+")
            && to.dropFirst().allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    /// The place for callbacks, or nil if the simulator does not send there.
    func callbackURL(_ url: String) -> CallbackURL? {
        guard let url = CallbackURL(url) else {
            statistics.callbacksUnsupported += 1
            return nil
        }
        guard access.allowsCallback(to: url.host) else {
            statistics.callbacksRefused += 1
            return nil
        }
        return url
    }

    private func callbacks(for message: Message, to url: String) -> [ScheduledCallback] {
        guard let url = callbackURL(url) else { return [] }
        let timeline = StatusTimeline(
            outcome: message.record.outcome, viaService: message.viaService, delays: settings.delays)
        return CallbackSchedule.plan(timeline, disorder: faults.callbacks, using: &random).map { planned in
            let event = MessageEvent(
                status: planned.status, messageSID: String(utf8: sids.sid(message.sequence)),
                accountSID: settings.accountSID, to: String(utf8: message.to), from: String(utf8: message.from),
                serviceSID: String(utf8: message.service), errorCode: message.record.errorCode)
            return ScheduledCallback(
                callback: Callback(url: url, event: .message(event)), afterMilliseconds: planned.afterMilliseconds)
        }
    }
}
