internal import CLibpq
internal import EventLoop

/// Performs the machine's actions with libpq, and turns libpq's answers into its events.
extension Connection {
    // MARK: In

    func socketReady(_ readiness: Readiness) {
        guard loss == nil else { return }
        if readiness.contains(.write) { flush() }
        guard loss == nil else { return }
        if !readiness.isDisjoint(with: [.read, .failed]) {
            let isAlive = unsafe handle.with { unsafe PQconsumeInput($0) } == 1
            // Bytes that arrived before the end still count: they may answer statements, or give the reason.
            drain()
            if loss == nil, !isAlive || isBad { end(handle.errorMessage) }
        }
        updateInterest()
    }

    private var isBad: Bool { unsafe handle.with { unsafe PQstatus($0) } != CONNECTION_OK }

    /// Reads every answer that is complete, and never waits for one.
    private func drain() {
        while loss == nil {
            let isBusy = unsafe handle.with { unsafe PQisBusy($0) } != 0
            takeNotices()
            guard !isBusy, machine.awaited != nil else { break }
            let result: OpaquePointer?? = unsafe handle.with { unsafe PQgetResult($0) }
            guard let result = unsafe result else { break }
            if let pointer = unsafe result {
                received = unsafe Received(pointer)
                take()
                received = nil
            } else {
                if isBad { break }
                if isSimpleMode { leaveSimpleMode() }
                apply(.answer(.end))
            }
        }
        takeNotifications()
    }

    private func take() {
        guard let status = received?.status else { return }
        switch status {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: apply(.answer(.success))
        case PGRES_PIPELINE_SYNC: apply(.answer(.sync))
        case PGRES_PIPELINE_ABORTED: apply(.answer(.skipped))
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE, PGRES_NONFATAL_ERROR:
            let error = received?.error
            if let error, error.endsConnection { lastError = error }
            // If the connection itself failed, the refusal does not come from the server. `end` reports it to all
            // calls.
            if error?.sqlstate.isEmpty == false, error?.endsConnection == false {
                apply(.answer(.refused(refusal(error))))
            } else {
                end(error?.message ?? handle.errorMessage)
            }
        default: apply(.answer(.unsupported))  // COPY or single-row mode. Swift cannot switch over all of a C enum.
        }
    }

    private func refusal(_ error: ServerError?) -> PipelineMachine.Refusal {
        switch (error?.sqlstate, error?.routine) {
        case ("57014", _): .canceled
        case ("26000", _): .unknownStatement
        case ("42P05", _): .duplicateStatement
        case ("0A000", "RevalidateCachedQuery"): .stalePlan
        default: .other
        }
    }

    private func takeNotices() {
        for notice in handle.notices.take() {
            if notice.endsConnection { lastError = notice }
            if let id = machine.awaited { calls[id]?.notices.append(notice) }
            onNotice?(notice)
        }
    }

    private func takeNotifications() {
        while loss == nil {
            let next: UnsafeMutablePointer<PGnotify>?? = unsafe handle.with { unsafe PQnotifies($0) }
            guard let next = unsafe next, let notify = unsafe next else { return }
            defer { unsafe PQfreemem(notify) }
            guard let channel = unsafe notify.pointee.relname, let payload = unsafe notify.pointee.extra else {
                continue
            }
            let notification = unsafe Notification(
                channel: String(cString: channel), payload: String(cString: payload),
                backendPID: notify.pointee.be_pid)
            onNotification?(notification)
        }
    }

    // MARK: Out

    /// Gives the machine an event and performs the resulting actions in order.
    func apply(_ event: PipelineMachine.Event) {
        machine.handle(event, &actions)
        // The events of an action are appended to the list.
        guard !isPerforming else { return }
        isPerforming = true
        var index = 0
        while index < actions.count {
            perform(actions[index])
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
        updateInterest()
    }

    private func perform(_ action: PipelineMachine.Action) {
        switch action {
        case .send(let id, let preparation): send(id, preparation)
        case .sendSimple(let id): sendSimple(id)
        case .keep(let id): keep(id)
        case .keepRefusal(let id): calls[id]?.refusal = received?.error
        case .forget(let id): calls[id]?.forget()
        case .succeed(let id): succeed(id)
        case .fail(let id, let failure): fail(id, failure)
        case .cancel: cancel()
        case .startGrace(let id): startGrace(id)
        case .drop(let reason): drop(reason)
        }
    }

    private func send(_ id: RequestID, _ preparation: PipelineMachine.Preparation) {
        guard let call = calls[id], loss == nil else { return }
        let isSent = unsafe handle.with { pointer in
            switch preparation {
            case .none: break
            case .replace:
                guard unsafe binder.sendDeallocation(call.statement, on: pointer) else { return false }
                guard unsafe binder.sendPreparation(call.statement, on: pointer) else { return false }
            case .prepare:
                guard unsafe binder.sendPreparation(call.statement, on: pointer) else { return false }
            }
            guard unsafe binder.sendExecution(call.statement, call.parameters, on: pointer) else { return false }
            // The sync also starts the flush.
            return unsafe PQpipelineSync(pointer) == 1
        }
        if isSent != true { end(handle.errorMessage) }
    }

    private func sendSimple(_ id: RequestID) {
        guard let call = calls[id], loss == nil else { return }
        let isSent = unsafe handle.with { pointer in
            unsafe PQexitPipelineMode(pointer) == 1 && PQsendQuery(pointer, call.statement.sql) == 1
        }
        isSimpleMode = true
        if isSent == true { flush() } else { end(handle.errorMessage) }
    }

    private func leaveSimpleMode() {
        isSimpleMode = false
        if unsafe handle.with({ unsafe PQenterPipelineMode($0) }) != 1 { end(handle.errorMessage) }
    }

    private func flush() {
        if unsafe handle.with({ unsafe PQflush($0) }) == -1 { end(handle.errorMessage) }
    }

    /// Waits for room in the socket only while libpq has something left to send.
    func updateInterest() {
        guard loss == nil, let watcher else { return }
        let remaining = unsafe handle.with { unsafe PQflush($0) } ?? 0
        handle.watch(for: remaining == 1 ? [.read, .write] : .read, watcher)
    }

    // MARK: Replies

    private func keep(_ id: RequestID) {
        guard let call = calls[id], let result = received.take()?.result() else { return }
        call.results.append(result)
    }

    private func finish(_ id: RequestID) -> Call? {
        guard let call = calls.removeValue(forKey: id) else { return nil }
        if let timer = call.timer { loop.cancel(timer) }
        return call
    }

    private func succeed(_ id: RequestID) {
        guard let call = finish(id) else { return }
        // The call alone owns the results at this point.
        if !call.notices.isEmpty { for result in call.results { result.notices = call.notices } }
        call.continuation?.resume(returning: .success(call.results))
    }

    private func fail(_ id: RequestID, _ failure: PipelineMachine.Failure) {
        guard let call = finish(id) else { return }
        let error: PostgresError =
            switch failure {
            case .server: .server(call.finalRefusal)
            case .interrupted(.deadline, let fate): .deadline(fate)
            case .interrupted(.cancellation, let fate): .canceled(fate)
            case .lost(let fate): .lost(loss(fate))
            case .unsupported: .misuse("execute and simple do not support COPY; the connection was dropped")
            }
        call.continuation?.resume(returning: .failure(error))
    }

    private func loss(_ fate: StatementFate) -> Loss {
        var told = loss ?? Loss(reason: "the connection is closed", lastError: nil, outcome: fate)
        told.outcome = fate
        return told
    }

    // MARK: Giving up

    private func startGrace(_ id: RequestID) {
        loop.schedule(at: .now() + cancelGrace) { [weak self] in
            self?.assumeIsolated { $0.apply(.graceOver(id)) }
        }
    }

    private func cancel() {
        let order: OpaquePointer?? = unsafe handle.with { unsafe PQgetCancel($0) }
        // Without memory or a thread for it, nothing is canceled, and the grace ends the statement.
        guard let order = unsafe order, let cancel = unsafe order else { return apply(.cancelEnded) }
        let shipment = unsafe CancelOrder(cancel)
        canceller = Helper.start(on: loop) {
            shipment.send()
        } completion: { [weak self] _ in
            self?.assumeIsolated {
                $0.canceller = nil
                $0.apply(.cancelEnded)
            }
        }
        if canceller == nil { apply(.cancelEnded) }
    }

    private func drop(_ reason: PipelineMachine.DropReason) {
        let words =
            switch reason {
            case .interrupted(.deadline): "otpd dropped it because a statement passed its deadline"
            case .interrupted(.cancellation): "otpd dropped it because a statement was given up"
            case .unsupported: "otpd dropped it because a statement began a COPY"
            case .outOfStep: "otpd dropped it because the answers did not match the statements"
            }
        close(words, isUnanswered: reason == .interrupted(.deadline))
    }

    /// Ends the connection after a failure or on purpose. All its calls fail.
    func end(_ reason: String) {
        close(reason)
        apply(.lost)
    }

    private func close(_ reason: String, isUnanswered: Bool = false) {
        guard loss == nil else { return }
        let words = lastError.map { "the server ended it: \($0)" } ?? (reason.isEmpty ? "no reason was given" : reason)
        let loss = Loss(reason: words, lastError: lastError, outcome: .unknown, isUnanswered: isUnanswered)
        self.loss = loss
        canceller?.abandon()
        canceller = nil
        handle.finish()
        watcher = nil
        for waiter in lostWaiters { waiter.resume(returning: loss) }
        lostWaiters = []
    }
}

/// A PGcancel on its way to the thread that sends it. `@unchecked Sendable`: made on the loop, used by that thread.
@safe private final class CancelOrder: @unchecked Sendable {
    private let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }
    deinit { unsafe PQfreeCancel(pointer) }

    /// Connects, sends the request, and waits until the server closes that connection. Blocks.
    func send() -> Bool {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { words in
            unsafe PQcancel(pointer, words.baseAddress, 256) == 1
        }
    }
}
