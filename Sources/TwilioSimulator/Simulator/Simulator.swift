/// The simulator without sockets: it takes a request and a time, and returns a reply. Used only on its event loop.
final class Simulator {
    let settings: Settings
    let access: Access
    private var acceptedHost: String?
    var credentials: Credentials
    var faults: FaultPlan
    var random: SplitMix64
    var statistics = Statistics()
    /// The number of creates being answered. Connections update it.
    private(set) var concurrent = 0
    let store: MessageStore
    let sids: SIDCodec
    var resource: MessageResource
    var calls: Shelf<Call>
    let callSIDs: SIDCodec
    let callResource: CallResource
    /// When the next call may leave the queue.
    var nextCallStart: Microseconds = 0
    var mails: Shelf<Mail>
    let mailSIDs: SIDCodec
    /// How many mails had each Message-ID.
    var messageIDs: [String: Int] = [:]
    let accountPath: String
    let messagesPath: String
    private let messagePrefix: String
    let callsPath: String
    private let callPrefix: String
    let numbersPath: String
    let shortCodesPath: String

    /// Throws a `ControlError` if the settings' faults are invalid.
    init(_ settings: Settings) throws {
        self.settings = settings
        access = Access(settings)
        credentials = Self.credentials(settings)
        random = SplitMix64(state: settings.seed)
        sids = SIDCodec(key: random.next(), checkKey: random.next())
        store = MessageStore(capacity: settings.capacity)
        resource = MessageResource(accountSID: settings.accountSID, sids: sids, delays: settings.delays)
        calls = Shelf(capacity: settings.capacity)
        callSIDs = SIDCodec(prefix: "CA", key: random.next(), checkKey: random.next())
        callResource = CallResource(accountSID: settings.accountSID, sids: callSIDs, delays: settings.delays)
        mails = Shelf(capacity: settings.capacity)
        mailSIDs = SIDCodec(prefix: "EM", key: random.next(), checkKey: random.next())
        accountPath = "/2010-04-01/Accounts/\(settings.accountSID).json"
        messagesPath = "/2010-04-01/Accounts/\(settings.accountSID)/Messages.json"
        messagePrefix = "/2010-04-01/Accounts/\(settings.accountSID)/Messages/"
        callsPath = "/2010-04-01/Accounts/\(settings.accountSID)/Calls.json"
        callPrefix = "/2010-04-01/Accounts/\(settings.accountSID)/Calls/"
        numbersPath = "/2010-04-01/Accounts/\(settings.accountSID)/IncomingPhoneNumbers.json"
        shortCodesPath = "/2010-04-01/Accounts/\(settings.accountSID)/SMS/ShortCodes.json"
        faults = FaultPlan()
        try restoreFaults()
    }

    /// Answers a request that was completely read at `now`. The connection calls `finished` once the answer is sent.
    func respond(to request: Request, at now: Microseconds) -> Reply {
        statistics.requests += 1
        // Most requests have the same host as the one before.
        guard request.host == acceptedHost || access.accepts(host: request.host) else {
            return Reply(
                answer: Answer(
                    status: 421, content: .text,
                    body: Array("This simulator answers only as localhost or 127.0.0.1.\n".utf8)))
        }
        acceptedHost = request.host
        if request.path.hasPrefix("/_sim/"), !access.allowsControl(request.authorization) {
            statistics.unauthorized += 1
            return Reply(
                answer: Answer(
                    status: 401, content: .text,
                    body: Array("Control needs the header Authorization: Bearer TWILIO_SIMULATOR_TOKEN.\n".utf8)))
        }
        if request.path.hasPrefix("/_sim/") || request.path == "/healthz" {
            return Reply(answer: control(request, at: now))
        }
        // A collector of traces, for benchmarks: it takes every export and keeps nothing.
        if request.path == "/v1/traces", request.method == .post {
            statistics.traceExports += 1
            return Reply(answer: Answer(status: 200, body: Array("{}".utf8)))
        }
        let format = request.wantsProblemDetails ? .problem : faults.errorFormat
        guard credentials.accept(request.authorization) else {
            statistics.unauthorized += 1
            return Reply(answer: ErrorCatalog.authenticate.answer(format))
        }
        var reply = route(request, at: now, format: format)
        reply.delayMilliseconds += faults.latencyMilliseconds
        return reply
    }

    /// Whether the request counts among the concurrent creates.
    func isCreate(_ request: Request) -> Bool {
        request.method == .post && (request.path == messagesPath || request.path == callsPath)
    }

    func began() {
        concurrent += 1
        statistics.maxConcurrent = max(statistics.maxConcurrent, concurrent)
    }

    func finished() {
        concurrent -= 1
    }

    /// Deletes all messages, calls, mails, counts and faults. The faults of the start apply again.
    func reset() throws {
        store.removeAll()
        calls.removeAll()
        mails.removeAll()
        messageIDs = [:]
        nextCallStart = 0
        statistics = Statistics()
        credentials = Self.credentials(settings)
        try restoreFaults()
    }

    /// Deletes the messages and counts of one channel. Faults stay.
    func reset(_ channel: Channel) {
        statistics[channel] = ChannelStatistics()
        switch channel {
        case .sms, .whatsapp: store.removeAll(channel)
        case .call:
            calls.removeAll()
            nextCallStart = 0
        case .email:
            mails.removeAll()
            messageIDs = [:]
        }
    }

    private func restoreFaults() throws {
        faults = FaultPlan()
        faults.callsPerSecond = settings.callsPerSecond
        faults.latencyMilliseconds = settings.latencyMilliseconds
        faults.listLagMilliseconds = settings.listLagMilliseconds
        faults.errorFormat = settings.errorFormat
        if !settings.faults.isEmpty { try applyFaults(settings.faults) }
    }

    private static func credentials(_ settings: Settings) -> Credentials {
        var apiKey: (sid: String, secret: String)?
        if let sid = settings.apiKeySID, let secret = settings.apiKeySecret { apiKey = (sid, secret) }
        return Credentials(accountSID: settings.accountSID, authToken: settings.authToken, apiKey: apiKey)
    }

    private func route(_ request: Request, at now: Microseconds, format: TwilioError.Format) -> Reply {
        if request.path == messagesPath {
            guard faults.accountStatus == .active else { return Reply(answer: ErrorCatalog.notActive.answer(format)) }
            switch request.method {
            case .post: return createMessage(request, at: now, format: format)
            case .get: return faulty(.list, format) { list(request, at: now) }
            case .delete, .other: break
            }
        } else if request.path == callsPath {
            guard faults.accountStatus == .active else { return Reply(answer: ErrorCatalog.notActive.answer(format)) }
            switch request.method {
            case .post: return createCall(request, at: now, format: format)
            case .get: return faulty(.list, format) { listCalls(request, at: now) }
            case .delete, .other: break
            }
        } else if request.path.hasPrefix(callPrefix), request.path.hasSuffix(".json") {
            let sid = request.path.utf8.dropFirst(callPrefix.utf8.count).dropLast(".json".utf8.count)
            guard let call = callSIDs.sequence(of: sid).flatMap({ calls[$0] }) else {
                return Reply(answer: ErrorCatalog.notFound(request.path).answer(format))
            }
            switch request.method {
            case .get: return faulty(.fetch, format) { .success(answer(call, at: now)) }
            case .post: return faulty(.any, format) { updateCall(call, request, at: now) }
            case .delete, .other: break
            }
        } else if request.path.hasPrefix(messagePrefix), request.path.hasSuffix(Self.feedbackSuffix) {
            guard faults.accountStatus == .active else { return Reply(answer: ErrorCatalog.notActive.answer(format)) }
            let sid = request.path.utf8.dropFirst(messagePrefix.utf8.count).dropLast(Self.feedbackSuffix.utf8.count)
            if request.method == .post {
                return faulty(.feedback, format) { recordFeedback(about: sid, request, at: now) }
            }
        } else if request.path.hasPrefix(messagePrefix), request.path.hasSuffix(".json") {
            let sid = request.path.utf8.dropFirst(messagePrefix.utf8.count).dropLast(".json".utf8.count)
            guard let sequence = sids.sequence(of: sid), let message = store.message(sequence) else {
                return Reply(answer: ErrorCatalog.notFound(request.path).answer(format))
            }
            switch request.method {
            case .get: return faulty(.fetch, format) { .success(answer(message, at: now)) }
            case .post: return faulty(.any, format) { redact(message, request, at: now) }
            case .delete: return faulty(.any, format) { delete(message, at: now) }
            case .other: break
            }
        } else if request.path.hasPrefix(Self.lookupPrefix) {
            guard faults.accountStatus == .active else { return Reply(answer: ErrorCatalog.notActive.answer(format)) }
            if request.method == .get { return faulty(.lookup, format) { lookUp(request) } }
        } else if request.path == accountPath {
            guard !credentials.isStandardKey(request.authorization) else {
                return Reply(answer: ErrorCatalog.authenticate.answer(format))
            }
            if request.method == .get { return Reply(answer: account(at: now)) }
        } else if request.path == numbersPath {
            if request.method == .get { return Reply(answer: incomingNumbers(request, at: now)) }
        } else if request.path == shortCodesPath {
            if request.method == .get { return Reply(answer: shortCodes(request, at: now)) }
        } else if request.path.hasPrefix("/2010-04-01/Accounts/AC"), !request.path.contains(settings.accountSID) {
            return Reply(answer: ErrorCatalog.authenticate.answer(format))
        } else {
            return Reply(answer: ErrorCatalog.notFound(request.path).answer(format))
        }
        return Reply(answer: ErrorCatalog.methodNotAllowed(request.path).answer(format))
    }

    /// Answers requests other than creates, with the faults for their kind.
    func faulty(
        _ kind: FaultPlan.Kind, _ format: TwilioError.Format, _ honest: () -> Result<Answer, TwilioError>
    ) -> Reply {
        faulty(kind, format) { honest().map { Reply(answer: $0) } }
    }

    private func faulty(
        _ kind: FaultPlan.Kind, _ format: TwilioError.Format, _ honest: () -> Result<Reply, TwilioError>
    ) -> Reply {
        let fault = faults.fault(kind, using: &random)
        if let fault {
            statistics.count(fault: fault.name)
            if !fault.takesEffect { return fault.reply(instead: nil, format: format, to: "", from: "") }
        }
        let reply =
            switch honest() {
            case .success(let reply): reply
            case .failure(let error): Reply(answer: error.answer(format))
            }
        guard var faulty = fault?.reply(instead: reply, format: format, to: "", from: "") else { return reply }
        faulty.callbacks = reply.callbacks
        return faulty
    }

    private func answer(_ message: Message, at now: Microseconds) -> Answer {
        var body: [UInt8] = []
        resource.append(message, at: now, to: &body)
        return Answer(status: 200, body: body)
    }

    private func redact(_ message: Message, _ request: Request, at now: Microseconds) -> Result<Answer, TwilioError> {
        let form = Form(request.body)
        if let status = form.text("Status") {
            return .failure(ErrorCatalog.invalidParameter("Status", "only scheduled messages can be \(status)"))
        }
        guard let body = form["Body"], body.isEmpty else {
            return .failure(ErrorCatalog.invalidParameter("Body", "must be given and empty, to redact the message"))
        }
        guard isOver(message, at: now) else { return .failure(ErrorCatalog.refusal(20009, to: "", from: "")) }
        store.redact(message.sequence)
        return .success(answer(store.message(message.sequence) ?? message, at: now))
    }

    private func delete(_ message: Message, at now: Microseconds) -> Result<Answer, TwilioError> {
        guard isOver(message, at: now) else { return .failure(ErrorCatalog.refusal(20009, to: "", from: "")) }
        store.delete(message.sequence)
        return .success(Answer(status: 204, body: []))
    }

    /// Whether its status is final. A message that waits for a receipt is not over; one without receipts is.
    private func isOver(_ message: Message, at now: Microseconds) -> Bool {
        switch resource.state(of: message, at: now).status {
        case .accepted, .queued, .sending: false
        case .sent: message.record.outcome == .sent
        case .delivered, .undelivered, .failed, .read: true
        }
    }
}
