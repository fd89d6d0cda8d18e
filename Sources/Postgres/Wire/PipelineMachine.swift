import DequeModule

/// Identifies one request on a connection.
struct RequestID: Hashable, Sendable { let serial: UInt64 }

/// Decides what is sent over one open connection and when. Events go in, actions come out
/// (`PipelineMachine+Events.swift`); it uses neither a clock nor libpq.
///
/// Statements overlap in pipeline mode. Each has its own sync and so its own implicit transaction: a failure in one
/// ends at its sync. Three things do not overlap. The simple protocol needs pipeline mode off. Nothing is sent behind a
/// statement that may be canceled, because a cancel hits whichever statement the server is running when it arrives.
/// While a cancel is under way nothing is sent, for the same reason.
struct PipelineMachine {
    /// The state of the connection. The arrows name the possible next states.
    enum State: Equatable {
        /// Nothing is under way. → pipelining, alone, simple, closed
        case idle
        /// Statements are under way, and more may follow. → idle, alone, closed
        case pipelining
        /// Like pipelining, but the last one may be canceled, so no more may follow. → idle, canceling, closed
        case alone
        /// A simple query is under way, alone. → idle, canceling, closed
        case simple
        /// The first statement under way is being canceled. → idle once it has its answer and the cancel has ended,
        /// closed
        case canceling(RequestID, isAnswered: Bool, hasEnded: Bool)
        /// Ended. → no other state
        case closed
    }

    private struct InFlight {
        var request: Request
        var step: Awaited
        /// The number of the server's copy that it relies on.
        var copy = 0
        var refusal: Refusal?
        var interruption: Interruption?
    }

    /// The awaited answer. → the next one below, or `syncing` at once after a refusal
    private enum Awaited: Equatable {
        case deallocating
        case preparing
        case executing
        case syncing
        /// An answer of the simple protocol, until its NULL.
        case simple
    }

    private(set) var state = State.idle
    private var inFlight = Deque<InFlight>()
    private var waiting = Deque<Request>()
    private var prepared: [String: Copy] = [:]
    private var copies = 0

    /// The server's copy of a statement. Several executions may find it missing or stale. Only the first of them may
    /// draw a conclusion, because by then the copy has been made again for the others.
    private struct Copy {
        var serial: Int
        var isStale = false
    }

    /// The request whose answers come next; nil if none is awaited.
    var awaited: RequestID? { inFlight.first?.request.id }
    /// The number of requests under way.
    var inFlightCount: Int { inFlight.count }
    /// The number of requests that wait for their turn.
    var waitingCount: Int { waiting.count }

    /// Handles an event, and appends the resulting actions.
    mutating func handle(_ event: Event, _ actions: inout [Action]) {
        switch event {
        case .submit(let request): submit(request, &actions)
        case .answer(let answer): take(answer, &actions)
        case .interrupt(let id, let interruption, let drop): interrupt(id, interruption, drop, &actions)
        case .cancelEnded: cancelEnded(&actions)
        case .graceOver(let id): graceOver(id, &actions)
        case .lost: end(&actions)
        }
    }

    // MARK: Sending

    private mutating func submit(_ request: Request, _ actions: inout [Action]) {
        switch state {
        case .closed:
            actions.append(.fail(request.id, .lost(.notSent)))
        case .idle, .pipelining, .alone, .simple, .canceling:
            waiting.append(request)
            sendWaiting(&actions)
        }
    }

    private mutating func sendWaiting(_ actions: inout [Action]) {
        while let next = waiting.first {
            switch (state, next.kind) {
            case (.idle, .simple):
                waiting.removeFirst()
                inFlight.append(InFlight(request: next, step: .simple))
                state = .simple
                actions.append(.sendSimple(next.id))
            case (.idle, .execute(let name)), (.pipelining, .execute(let name)):
                waiting.removeFirst()
                send(next, name, &actions)
            case (.pipelining, .simple), (.alone, _), (.simple, _), (.canceling, _), (.closed, _):
                return
            }
        }
    }

    private mutating func send(_ request: Request, _ name: String, _ actions: inout [Action]) {
        let preparation: Preparation
        let step: Awaited
        switch prepared[name]?.isStale {
        case false?: (preparation, step) = (.none, .executing)
        case true?: (preparation, step) = (.replace, .deallocating)
        case nil: (preparation, step) = (.prepare, .preparing)
        }
        if preparation != .none {
            // Later statements rely on this preparation. If it fails, they find no statement and prepare it themselves.
            copies += 1
            prepared[name] = Copy(serial: copies)
        }
        inFlight.append(InFlight(request: request, step: step, copy: prepared[name]?.serial ?? 0))
        state = request.isCancellable ? .alone : .pipelining
        actions.append(.send(request.id, preparation))
    }

    // MARK: Answers

    private mutating func take(_ answer: Answer, _ actions: inout [Action]) {
        switch state {
        case .closed: return
        case .idle: outOfStep(&actions)
        case .pipelining, .alone, .simple, .canceling:
            guard let step = inFlight.first?.step else {
                // A canceled and answered statement has no further answer.
                outOfStep(&actions)
                return
            }
            if step == .simple { takeSimple(answer, &actions) } else { takePipelined(answer, step, &actions) }
        }
    }

    private mutating func takePipelined(_ answer: Answer, _ step: Awaited, _ actions: inout [Action]) {
        guard let id = awaited else { return }
        switch answer {
        case .success:
            switch step {
            case .executing: actions.append(.keep(id))
            case .deallocating, .preparing: break
            case .syncing, .simple: outOfStep(&actions)
            }
        case .refused(let refusal):
            // At `syncing` the commit failed, so the kept result does not count.
            if inFlight.first?.refusal == nil { actions.append(.keepRefusal(id)) }
            noteRefusal(refusal, step)
        case .skipped: break
        case .end:
            switch step {
            case .deallocating: inFlight.updateFirst { $0.step = .preparing }
            case .preparing: inFlight.updateFirst { $0.step = .executing }
            case .executing, .syncing: inFlight.updateFirst { $0.step = .syncing }
            case .simple: outOfStep(&actions)
            }
        case .sync: finishPipelined(&actions)
        case .unsupported: unsupported(&actions)
        }
    }

    private mutating func noteRefusal(_ refusal: Refusal, _ step: Awaited) {
        // Only a preparation of ours can collide with a copy of ours. Otherwise the error is the statement's own.
        let refusal = refusal == .duplicateStatement && step != .preparing ? .other : refusal
        inFlight.updateFirst { if $0.refusal == nil { $0.refusal = refusal } }
        guard let head = inFlight.first, case .execute(let name) = head.request.kind,
            prepared[name]?.serial == head.copy
        else { return }
        switch (step, refusal) {
        case (_, .unknownStatement): prepared[name] = nil
        case (_, .stalePlan), (_, .duplicateStatement): prepared[name]?.isStale = true
        // The transaction block is aborted, so the copy still exists.
        case (.deallocating, _): prepared[name]?.isStale = true
        case (.preparing, _): prepared[name] = nil
        case (.executing, .canceled), (.executing, .other): break
        case (.syncing, .canceled), (.syncing, .other), (.simple, .canceled), (.simple, .other): break
        }
    }

    private mutating func finishPipelined(_ actions: inout [Action]) {
        guard let head = inFlight.popFirst() else { return }
        let id = head.request.id
        switch head.refusal {
        case nil where head.step == .syncing: actions.append(.succeed(id))
        // A sync arrived before the statement's own end.
        case nil: return outOfStep(&actions, also: head)
        case .unknownStatement, .stalePlan, .duplicateStatement:
            // In a transaction block the second try fails because the block is aborted (25P02), and changes nothing.
            if head.request.wasRetried || head.interruption != nil {
                actions.append(.fail(id, .server))
            } else {
                var again = head.request
                again.wasRetried = true
                actions.append(.forget(id))
                waiting.prepend(again)
            }
        case .canceled:
            let failure = head.interruption.map { Failure.interrupted($0, .rolledBack) } ?? .server
            actions.append(.fail(id, failure))
        case .other: actions.append(.fail(id, .server))
        }
        advance(&actions)
    }

    private mutating func takeSimple(_ answer: Answer, _ actions: inout [Action]) {
        guard let id = awaited else { return }
        switch answer {
        case .success: actions.append(.keep(id))
        case .refused(let refusal):
            if inFlight.first?.refusal == nil { actions.append(.keepRefusal(id)) }
            inFlight.updateFirst { if $0.refusal == nil { $0.refusal = refusal } }
        case .end:
            guard let head = inFlight.popFirst() else { return }
            switch (head.refusal, head.interruption) {
            case (nil, _): actions.append(.succeed(id))
            case (.canceled, let interruption?): actions.append(.fail(id, .interrupted(interruption, .rolledBack)))
            case (.canceled, nil), (.unknownStatement, _), (.duplicateStatement, _), (.stalePlan, _), (.other, _):
                actions.append(.fail(id, .server))
            }
            advance(&actions)
        case .skipped, .sync: outOfStep(&actions)
        case .unsupported: unsupported(&actions)
        }
    }

    /// Called after a request has ended: sets the next state, and sends the requests that it allows.
    private mutating func advance(_ actions: inout [Action]) {
        switch state {
        case .closed: return
        case .canceling(let id, _, let hasEnded):
            state = hasEnded ? .idle : .canceling(id, isAnswered: true, hasEnded: false)
        case .idle, .pipelining, .simple:
            state = inFlight.isEmpty ? .idle : .pipelining
        case .alone:
            if inFlight.isEmpty { state = .idle }
            // The statement that may be canceled is now the first, and it was given up earlier.
            if let head = inFlight.first, head.interruption != nil { beginCancel(head.request.id, &actions) }
        }
        sendWaiting(&actions)
    }

    // MARK: Giving up

    private mutating func interrupt(
        _ id: RequestID, _ interruption: Interruption, _ drop: Bool, _ actions: inout [Action]
    ) {
        switch state {
        case .closed: return
        case .idle, .pipelining, .alone, .simple, .canceling: break
        }
        if waiting.removeFirst(where: { $0.id == id }) != nil {
            actions.append(.fail(id, .interrupted(interruption, .notSent)))
            // The other requests may have waited for this one.
            sendWaiting(&actions)
            return
        }
        guard let request = inFlight.first(where: { $0.request.id == id })?.request else { return }
        if drop || !request.isCancellable {
            self.drop(id, interruption, &actions)
            return
        }
        // A second reason changes nothing, because the cancel is under way already.
        guard inFlight.first(where: { $0.request.id == id })?.interruption == nil else { return }
        if let index = inFlight.firstIndex(where: { $0.request.id == id }) {
            inFlight[index].interruption = interruption
        }
        actions.append(.startGrace(id))
        if awaited == id { beginCancel(id, &actions) }
    }

    private mutating func beginCancel(_ id: RequestID, _ actions: inout [Action]) {
        state = .canceling(id, isAnswered: false, hasEnded: false)
        actions.append(.cancel)
    }

    private mutating func cancelEnded(_ actions: inout [Action]) {
        switch state {
        case .canceling(let id, let isAnswered, _):
            if isAnswered {
                state = .idle
                sendWaiting(&actions)
            } else {
                state = .canceling(id, isAnswered: false, hasEnded: true)
            }
        // From a cancel that began before the connection was dropped.
        case .closed: return
        case .idle, .pipelining, .alone, .simple: outOfStep(&actions)
        }
    }

    private mutating func graceOver(_ id: RequestID, _ actions: inout [Action]) {
        switch state {
        case .closed, .idle, .pipelining: return
        case .alone, .simple, .canceling:
            if let entry = inFlight.first(where: { $0.request.id == id }), let interruption = entry.interruption {
                drop(id, interruption, &actions)
            } else if state == .canceling(id, isAnswered: true, hasEnded: false) {
                // The pending cancel could hit any later statement.
                actions.append(.drop(.interrupted(.deadline)))
                end(&actions)
            }
        }
    }

    private mutating func drop(_ id: RequestID, _ interruption: Interruption, _ actions: inout [Action]) {
        inFlight.removeFirst(where: { $0.request.id == id })
        actions.append(.drop(.interrupted(interruption)))
        actions.append(.fail(id, .interrupted(interruption, .unknown)))
        end(&actions)
    }

    private mutating func unsupported(_ actions: inout [Action]) {
        guard let head = inFlight.popFirst() else { return }
        actions.append(.drop(.unsupported))
        actions.append(.fail(head.request.id, .unsupported))
        end(&actions)
    }

    /// libpq and this machine disagree about the statements under way, so no answer on this connection can be trusted.
    private mutating func outOfStep(_ actions: inout [Action], also head: InFlight? = nil) {
        actions.append(.drop(.outOfStep))
        if let head { actions.append(.fail(head.request.id, .lost(.unknown))) }
        end(&actions)
    }

    private mutating func end(_ actions: inout [Action]) {
        state = .closed
        while let entry = inFlight.popFirst() {
            if let interruption = entry.interruption {
                actions.append(.fail(entry.request.id, .interrupted(interruption, .unknown)))
            } else {
                actions.append(.fail(entry.request.id, .lost(.unknown)))
            }
        }
        while let request = waiting.popFirst() { actions.append(.fail(request.id, .lost(.notSent))) }
    }
}

extension Deque {
    fileprivate mutating func updateFirst(_ change: (inout Element) -> Void) {
        if !isEmpty { change(&self[0]) }
    }

    /// Removes the first request that `matches`, wherever it is.
    @discardableResult
    fileprivate mutating func removeFirst(where matches: (Element) -> Bool) -> Element? {
        firstIndex(where: matches).map { remove(at: $0) }
    }
}
