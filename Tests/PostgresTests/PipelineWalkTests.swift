import TestSupport
import Testing

@testable import Postgres

private typealias Dice = SeededGenerator

extension SeededGenerator {
    fileprivate mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// A server that keeps prepared statements, fails at random, and answers in order.
private struct FakeServer {
    enum Sent {
        case execute(RequestID, String, PipelineMachine.Preparation)
        case simple(RequestID)
    }
    var sent: [Sent] = []
    var answers: [PipelineMachine.Answer] = []
    var statements: [String: Bool] = [:]
    var isCancelRequested = false

    var isBusy: Bool { !sent.isEmpty || !answers.isEmpty }

    /// The next answer. Computed only in its turn, as a server would.
    mutating func next(_ dice: inout Dice) -> PipelineMachine.Answer? {
        if answers.isEmpty, !sent.isEmpty { execute(sent.removeFirst(), &dice) }
        return answers.isEmpty ? nil : answers.removeFirst()
    }

    private mutating func execute(_ next: Sent, _ dice: inout Dice) {
        let isCancelled = isCancelRequested
        isCancelRequested = false
        switch next {
        case .simple:
            for _ in 0..<Int.random(in: 0..<3, using: &dice) { answers.append(.success) }
            if isCancelled { answers.append(.refused(.canceled)) }
            if dice.chance(20) { answers.append(.refused(.other)) }
            answers.append(.end)
        case .execute(_, let name, let preparation):
            var commands: [PipelineMachine.Answer] = []
            if preparation == .replace {
                commands.append(statements[name] == nil ? .refused(.unknownStatement) : .success)
                statements[name] = nil
            }
            if preparation != .none {
                if statements[name] != nil {
                    commands.append(.refused(.duplicateStatement))
                } else if dice.chance(10) {
                    commands.append(.refused(.other))
                } else {
                    commands.append(.success)
                    if commands.allSatisfy({ $0 == .success }) { statements[name] = true }
                }
            }
            switch statements[name] {
            case nil: commands.append(.refused(.unknownStatement))
            case false?: commands.append(.refused(.stalePlan))
            case true? where isCancelled: commands.append(.refused(.canceled))
            case true?: commands.append(dice.chance(15) ? .refused(.other) : .success)
            }
            var hasFailed = false
            for command in commands {
                answers += [hasFailed ? .skipped : command, .end]
                if command != .success { hasFailed = true }
            }
            if !hasFailed, dice.chance(10) { answers += [.refused(.other), .end] }
            answers.append(.sync)
            // Another session changes a table, or runs DISCARD ALL.
            if dice.chance(5) { statements[name] = statements[name].map { _ in false } }
            if dice.chance(5) { statements[name] = nil }
        }
    }
}

@Suite("Pipeline machine, random walks")
struct PipelineWalkTests {
    @Test("every request ends once, in order, and nothing overlaps that must not", arguments: 0..<400 as Range<UInt64>)
    func walk(_ seed: UInt64) {
        var dice = Dice(seed)
        var machine = PipelineMachine()
        var server = FakeServer()
        var open: [RequestID: (isCancellable: Bool, isSimple: Bool)] = [:]
        var onTheWay: [RequestID] = []
        var graces: [RequestID] = []
        var cancels = 0
        var isDropped = false
        var serial: UInt64 = 0

        func perform(_ event: PipelineMachine.Event) {
            var actions: [PipelineMachine.Action] = []
            machine.handle(event, &actions)
            for action in actions {
                switch action {
                case .send(let id, let preparation):
                    #expect(!isDropped && cancels == 0)
                    #expect(onTheWay.allSatisfy { open[$0]?.isCancellable == false && open[$0]?.isSimple == false })
                    #expect(open[id]?.isSimple == false)
                    onTheWay.append(id)
                    server.sent.append(.execute(id, name(id), preparation))
                case .sendSimple(let id):
                    #expect(!isDropped && cancels == 0 && onTheWay.isEmpty && !server.isBusy)
                    onTheWay.append(id)
                    server.sent.append(.simple(id))
                case .keep(let id), .keepRefusal(let id): #expect(onTheWay.first == id)
                case .forget(let id):
                    #expect(onTheWay.first == id)
                    onTheWay.removeFirst()
                case .succeed(let id):
                    #expect(onTheWay.first == id)
                    #expect(open.removeValue(forKey: id) != nil)
                    onTheWay.removeFirst()
                case .fail(let id, let failure):
                    #expect(open.removeValue(forKey: id) != nil)
                    switch failure {
                    case .server, .interrupted(_, .rolledBack):
                        #expect(onTheWay.first == id)
                        onTheWay.removeFirst()
                    case .interrupted(_, .notSent), .lost(.notSent): #expect(!onTheWay.contains(id))
                    case .interrupted(_, .unknown), .lost(.unknown), .unsupported: onTheWay.removeAll { $0 == id }
                    case .lost(.rolledBack): Issue.record("a loss is never known to be undone")
                    }
                case .cancel:
                    #expect(onTheWay.count == 1 && cancels == 0)
                    cancels += 1
                    if dice.chance(70) { server.isCancelRequested = true }
                case .startGrace(let id): graces.append(id)
                case .drop: isDropped = true
                }
            }
        }

        func name(_ id: RequestID) -> String { "s\(id.serial % 3)" }

        for _ in 0..<300 {
            switch Int.random(in: 0..<100, using: &dice) {
            case 0..<35:
                serial += 1
                let id = RequestID(serial: serial)
                let isSimple = dice.chance(15)
                let isCancellable = dice.chance(20)
                open[id] = (isCancellable, isSimple)
                let kind: PipelineMachine.Kind = isSimple ? .simple : .execute(name(id))
                perform(.submit(.init(id: id, kind: kind, isCancellable: isCancellable)))
            case 35..<85:
                if !isDropped, let answer = server.next(&dice) { perform(.answer(answer)) }
            case 85..<92:
                if let id = open.keys.sorted(by: { $0.serial < $1.serial }).randomElement(using: &dice) {
                    let drop = open[id]?.isCancellable == false || dice.chance(10)
                    // Dropping ends the walk, so it happens only now and then.
                    if !drop || dice.chance(5) { perform(.interrupt(id, .deadline, drop: drop)) }
                }
            case 92..<97:
                if cancels > 0 {
                    cancels -= 1
                    perform(.cancelEnded)
                }
            case 97:
                if !graces.isEmpty, dice.chance(20) { perform(.graceOver(graces.removeFirst())) }
            case 98: if dice.chance(5) { perform(.answer(.unsupported)) }
            default: if dice.chance(5) { perform(.lost) }
            }
        }
        // At the end everything is answered, or everything is lost.
        if seed.isMultiple(of: 2) {
            while !isDropped, machine.state != .closed {
                if cancels > 0 {
                    cancels -= 1
                    perform(.cancelEnded)
                } else if let answer = server.next(&dice) {
                    perform(.answer(answer))
                } else {
                    break
                }
            }
            if machine.state != .closed { #expect(machine.state == .idle) }
        } else {
            perform(.lost)
            #expect(machine.state == .closed)
        }
        #expect(open.isEmpty)
        #expect(onTheWay.isEmpty)
        #expect(machine.inFlightCount == 0 && machine.waitingCount == 0)
    }
}
