import Testing

@testable import Postgres

private typealias Machine = PipelineMachine

/// A machine and the actions that it asked for.
private struct Driver {
    var machine = Machine()

    mutating func handle(_ event: Machine.Event) -> [Machine.Action] {
        var actions: [Machine.Action] = []
        machine.handle(event, &actions)
        return actions
    }

    mutating func submit(
        _ serial: UInt64, _ name: String = "s", cancellable: Bool = false
    ) -> [Machine.Action] {
        handle(.submit(.init(id: id(serial), kind: .execute(name), isCancellable: cancellable)))
    }

    mutating func submitSimple(_ serial: UInt64, cancellable: Bool = false) -> [Machine.Action] {
        handle(.submit(.init(id: id(serial), kind: .simple, isCancellable: cancellable)))
    }

    mutating func answer(_ answers: Machine.Answer...) -> [Machine.Action] {
        answers.flatMap { handle(.answer($0)) }
    }
}

private func id(_ serial: UInt64) -> RequestID { RequestID(serial: serial) }

@Suite("Pipeline machine")
struct PipelineMachineTests {
    @Test("a statement is prepared with its first execution and not with its second")
    func preparation() {
        var driver = Driver()
        #expect(driver.submit(1) == [.send(id(1), .prepare)])
        #expect(driver.submit(2) == [.send(id(2), .none)])
        #expect(driver.answer(.success, .end) == [])
        #expect(driver.answer(.success, .end) == [.keep(id(1))])
        #expect(driver.answer(.sync) == [.succeed(id(1))])
        #expect(driver.answer(.success, .end, .sync) == [.keep(id(2)), .succeed(id(2))])
        #expect(driver.machine.state == .idle)
    }

    @Test("an error ends at its sync and leaves its neighbours alone")
    func neighbours() {
        var driver = Driver()
        _ = driver.submit(1, "a")
        _ = driver.submit(2, "b")
        #expect(
            driver.answer(.success, .end, .refused(.other), .end, .sync)
                == [.keepRefusal(id(1)), .fail(id(1), .server)]
        )
        #expect(driver.answer(.success, .end, .success, .end, .sync) == [.keep(id(2)), .succeed(id(2))])
    }

    @Test("a refused preparation skips the execution, and the next execution prepares again")
    func refusedPreparation() {
        var driver = Driver()
        _ = driver.submit(1)
        #expect(
            driver.answer(.refused(.other), .end, .skipped, .end, .sync)
                == [.keepRefusal(id(1)), .fail(id(1), .server)])
        #expect(driver.submit(2) == [.send(id(2), .prepare)])
    }

    @Test("a commit that fails after the result fails the statement")
    func failedCommit() {
        var driver = Driver()
        _ = driver.submit(1)
        #expect(
            driver.answer(.success, .end, .success, .end, .refused(.other), .end, .sync)
                == [.keep(id(1)), .keepRefusal(id(1)), .fail(id(1), .server)])
    }

    @Test("a stale plan is replaced once, then reported")
    func stalePlan() {
        var driver = Driver()
        _ = driver.submit(1)
        _ = driver.answer(.success, .end, .success, .end, .sync)
        _ = driver.submit(2)
        #expect(
            driver.answer(.refused(.stalePlan), .end, .sync)
                == [.keepRefusal(id(2)), .forget(id(2)), .send(id(2), .replace)])
        #expect(
            driver.answer(.success, .end, .success, .end, .refused(.stalePlan), .end, .sync)
                == [.keepRefusal(id(2)), .fail(id(2), .server)])
    }

    @Test("of two executions that find the statement gone, only the first prepares it again")
    func goneTwice() {
        var driver = Driver()
        _ = driver.submit(1)
        _ = driver.answer(.success, .end, .success, .end, .sync)
        _ = driver.submit(2)
        _ = driver.submit(3)
        #expect(driver.answer(.refused(.unknownStatement), .end, .sync).last == .send(id(2), .prepare))
        #expect(driver.answer(.refused(.unknownStatement), .end, .sync).last == .send(id(3), .none))
    }

    @Test("a stale copy stays one when an aborted transaction block kept it from being removed")
    func staleInBlock() {
        var driver = Driver()
        _ = driver.submit(1)
        _ = driver.answer(.success, .end, .refused(.stalePlan), .end, .sync)
        _ = driver.answer(.refused(.other), .end, .skipped, .end, .skipped, .end, .sync)
        #expect(driver.submit(2) == [.send(id(2), .replace)])
    }

    @Test("a copy that this connection did not make is replaced")
    func duplicate() {
        var driver = Driver()
        _ = driver.submit(1)
        #expect(
            driver.answer(.refused(.duplicateStatement), .end, .skipped, .end, .sync)
                == [.keepRefusal(id(1)), .forget(id(1)), .send(id(1), .replace)])
    }

    @Test("the simple protocol waits for the pipeline, and the pipeline for it")
    func simple() {
        var driver = Driver()
        _ = driver.submit(1)
        #expect(driver.submitSimple(2) == [])
        #expect(driver.submit(3) == [])
        #expect(
            driver.answer(.success, .end, .success, .end, .sync)
                == [.keep(id(1)), .succeed(id(1)), .sendSimple(id(2))])
        #expect(
            driver.answer(.success, .success, .end)
                == [.keep(id(2)), .keep(id(2)), .succeed(id(2)), .send(id(3), .none)])
    }

    @Test("nothing is sent behind a statement that may be canceled, and a late cancel holds the next one back")
    func cancel() {
        var driver = Driver()
        #expect(driver.submit(1, cancellable: true) == [.send(id(1), .prepare)])
        #expect(driver.submit(2) == [])
        #expect(driver.handle(.interrupt(id(1), .deadline, drop: false)) == [.startGrace(id(1)), .cancel])
        #expect(driver.handle(.interrupt(id(1), .cancellation, drop: false)) == [])
        #expect(
            driver.answer(.success, .end, .refused(.canceled), .end, .sync)
                == [.keepRefusal(id(1)), .fail(id(1), .interrupted(.deadline, .rolledBack))])
        #expect(driver.handle(.cancelEnded) == [.send(id(2), .none)])
        #expect(driver.handle(.graceOver(id(1))) == [])
    }

    @Test("a statement that won the race against its cancel succeeds")
    func cancelTooLate() {
        var driver = Driver()
        _ = driver.submit(1, cancellable: true)
        _ = driver.handle(.interrupt(id(1), .deadline, drop: false))
        _ = driver.handle(.cancelEnded)
        #expect(driver.answer(.success, .end, .success, .end, .sync) == [.keep(id(1)), .succeed(id(1))])
        #expect(driver.machine.state == .idle)
    }

    @Test("a cancel waits until the server has come to the statement")
    func cancelBehindAnother() {
        var driver = Driver()
        _ = driver.submit(1)
        _ = driver.submit(2, cancellable: true)
        #expect(driver.handle(.interrupt(id(2), .deadline, drop: false)) == [.startGrace(id(2))])
        #expect(
            driver.answer(.success, .end, .success, .end, .sync) == [.keep(id(1)), .succeed(id(1)), .cancel])
    }

    @Test("a canceled statement that does not answer takes the connection with it")
    func grace() {
        var driver = Driver()
        _ = driver.submit(1, cancellable: true)
        _ = driver.submit(2)
        _ = driver.handle(.interrupt(id(1), .cancellation, drop: false))
        #expect(
            driver.handle(.graceOver(id(1))) == [
                .drop(.interrupted(.cancellation)), .fail(id(1), .interrupted(.cancellation, .unknown)),
                .fail(id(2), .lost(.notSent)),
            ])
    }

    @Test("so does a cancel that never ends though its statement has answered")
    func graceOfTheCancel() {
        var driver = Driver()
        _ = driver.submit(1, cancellable: true)
        _ = driver.submit(2)
        _ = driver.handle(.interrupt(id(1), .deadline, drop: false))
        _ = driver.answer(.success, .end, .success, .end, .sync)
        #expect(
            driver.handle(.graceOver(id(1))) == [.drop(.interrupted(.deadline)), .fail(id(2), .lost(.notSent))])
    }

    @Test("a deadline that drops tells the neighbours apart: on their way, unknown; waiting, not sent")
    func drop() {
        var driver = Driver()
        _ = driver.submit(1)
        _ = driver.submit(2)
        _ = driver.submitSimple(3)
        #expect(
            driver.handle(.interrupt(id(2), .deadline, drop: true)) == [
                .drop(.interrupted(.deadline)), .fail(id(2), .interrupted(.deadline, .unknown)),
                .fail(id(1), .lost(.unknown)), .fail(id(3), .lost(.notSent)),
            ])
        #expect(driver.submit(4) == [.fail(id(4), .lost(.notSent))])
    }

    @Test("a deadline of what has not been sent costs the connection nothing, and frees those behind it")
    func waitingExpires() {
        var driver = Driver()
        _ = driver.submit(1)
        _ = driver.submitSimple(2)
        _ = driver.submit(3)
        #expect(
            driver.handle(.interrupt(id(2), .deadline, drop: true))
                == [.fail(id(2), .interrupted(.deadline, .notSent)), .send(id(3), .none)])
    }

    @Test("COPY costs the connection")
    func copy() {
        var driver = Driver()
        _ = driver.submitSimple(1)
        #expect(driver.answer(.unsupported) == [.drop(.unsupported), .fail(id(1), .unsupported)])
    }

    @Test("answers that nobody waits for cost the connection")
    func outOfStep() {
        var driver = Driver()
        #expect(driver.answer(.success) == [.drop(.outOfStep)])
        var early = Driver()
        _ = early.submit(1)
        #expect(early.answer(.sync) == [.drop(.outOfStep), .fail(id(1), .lost(.unknown))])
    }
}
