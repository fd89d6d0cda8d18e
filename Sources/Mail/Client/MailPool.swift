internal import EventLoop

/// The connections to mail servers, and the mails that wait for one. Reports how mails ended.
///
/// `@unchecked Sendable`: only the loop's thread touches it. `MailClient` checks this at its entry points, and the loop
/// and libcurl call back on that thread.
final class MailPool: MailConnectionOwner, @unchecked Sendable {
    private let loop: EventLoop
    private let configuration: MailConfiguration
    private var connections: [MailConnection] = []
    /// Those that have said QUIT.
    private var leaving: [MailConnection] = []
    /// In the order in which they go.
    private var waiting: [OutgoingMail] = []
    private var waitTimer: TimerID?
    private var isClosed = false

    /// Called with all completions of a turn.
    var handler: (([MailCompletion]) -> Void)?
    private var completions: [MailCompletion] = []
    /// Mails and checks that have not ended.
    private(set) var inFlight = 0
    private(set) var openConnections = 0

    init(_ configuration: MailConfiguration, on loop: EventLoop) {
        self.loop = loop
        self.configuration = configuration
    }

    func add(_ mail: OutgoingMail) {
        precondition(!isClosed, "a mail was sent with a mail client that is closed")
        inFlight += 1
        if !place(mail, onNewConnection: false) { wait(mail, first: false) }
    }

    func cancelAll() {
        for mail in waiting { report(mail, .notSent(.canceled)) }
        waiting.removeAll()
        for connection in connections { connection.cancel() }
    }

    func close() {
        guard !isClosed else { return }
        cancelAll()
        isClosed = true
        for connection in connections { connection.quit() }
        for connection in connections + leaving { connection.close() }
        connections.removeAll()
        leaving.removeAll()
        if let waitTimer { loop.cancel(waitTimer) }
        waitTimer = nil
        deliver()
        handler = nil
    }

    // MARK: Connections

    /// Gives the mail a connection. Returns whether there was one.
    private func place(_ mail: OutgoingMail, onNewConnection: Bool) -> Bool {
        if !onNewConnection, let idle = connections.last(where: { $0.phase == .idle && $0.server === mail.server }) {
            idle.begin(mail)
            return true
        }
        if connections.count >= configuration.maxConnections {
            // An idle one to another server, or to the same with other credentials.
            guard let idle = connections.first(where: { $0.phase == .idle }) else { return false }
            remove(idle)
            idle.close()
        }
        guard let connection = MailConnection(mail.server, configuration, on: loop, owner: self) else {
            report(mail, .notSent(.failed(code: 27)))  // CURLE_OUT_OF_MEMORY
            return true
        }
        connections.append(connection)
        connection.connect(for: mail)
        return true
    }

    func countSocket(_ change: Int) { openConnections += change }

    func ended(_ mail: OutgoingMail, _ result: MailCompletion.TransferResult?, on connection: MailConnection) {
        if connection.phase == .closed { remove(connection) }
        if let result {
            report(mail, result)
        } else if !place(mail, onNewConnection: true) {
            wait(mail, first: true)
        }
        serveWaiting()
    }

    func isLost(_ connection: MailConnection) {
        connection.close()
        remove(connection)
        serveWaiting()
    }

    func hasIdled(_ connection: MailConnection) {
        remove(connection)
        leaving.append(connection)
        connection.quit()
    }

    private func remove(_ connection: MailConnection) {
        connections.removeAll { $0 === connection }
        leaving.removeAll { $0 === connection }
    }

    // MARK: Waiting

    private func wait(_ mail: OutgoingMail, first: Bool) {
        if first { waiting.insert(mail, at: 0) } else { waiting.append(mail) }
        setWaitTimer()
    }

    private func serveWaiting() {
        while let mail = waiting.first {
            guard mail.due > .now() else {
                endOverdue()
                continue
            }
            guard hasPlace else { return }
            waiting.removeFirst()
            _ = place(mail, onNewConnection: false)
        }
    }

    private var hasPlace: Bool {
        connections.count < configuration.maxConnections || connections.contains { $0.phase == .idle }
    }

    private func endOverdue() {
        let now = Instant.now()
        waiting.removeAll { mail in
            guard mail.due <= now else { return false }
            report(mail, .notSent(mail.overdueReason(at: now)))
            return true
        }
        setWaitTimer()
    }

    private func setWaitTimer() {
        if let waitTimer { loop.cancel(waitTimer) }
        waitTimer = waiting.map(\.due).min().map { due in
            loop.schedule(at: due) { [self] in
                waitTimer = nil
                endOverdue()
            }
        }
    }

    // MARK: Results

    private func report(_ mail: OutgoingMail, _ result: MailCompletion.TransferResult) {
        inFlight -= 1
        switch mail.owner {
        case .check(let continuation):
            let origin = mail.server.origin
            let answer: Result<Void, MailError> =
                switch result {
                case .accepted: .success(())
                case .refused(let refusal): .failure(MailError(.refused(refusal), origin: origin))
                case .notSent(let reason): .failure(MailError(.notSent(reason), origin: origin))
                case .unknown: preconditionFailure("a check sends no mail")
                }
            continuation.resume(returning: answer)
        case .mail(let tag):
            // Timers run at the end of a turn, so one call of the handler gets all mails that end in it.
            if completions.isEmpty { loop.schedule(at: .now()) { [self] in deliver() } }
            completions.append(MailCompletion(tag: tag, outcome: result))
        }
    }

    private func deliver() {
        guard !completions.isEmpty else { return }
        let batch = completions
        completions.removeAll(keepingCapacity: true)
        handler?(batch)
    }
}
