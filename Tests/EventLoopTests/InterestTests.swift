import Testing

@testable import EventLoop

@Suite("Lazy interest")
struct InterestTests {
    private final class Handler: ReadinessHandler {
        func ready(_ descriptor: Int32, _ readiness: Readiness) {}
    }
    private let handler = Handler()

    private func changes(_ table: inout InterestTable) -> [InterestTable.Change] {
        var all: [InterestTable.Change] = []
        table.takeChanges { all.append($0) }
        return all
    }

    @Test("the kernel hears only of differences")
    func differences() {
        var table = InterestTable()
        table.want(7, .read, handler)
        #expect(changes(&table) == [.add(7, .read)])
        table.want(7, [.read, .write], handler)
        table.want(7, .read, handler)
        #expect(changes(&table).isEmpty, "on and off within a turn costs no system call")
        table.want(7, .write, handler)
        #expect(changes(&table) == [.modify(7, .write)])
        table.want(7, [], handler)
        #expect(changes(&table) == [.modify(7, [])])
    }

    @Test("a descriptor forgotten and reused in one turn is added again")
    func reuse() {
        var table = InterestTable()
        table.want(5, .read, handler)
        #expect(changes(&table) == [.add(5, .read)])
        let wasKnown = table.forget(5)
        #expect(wasKnown)
        table.want(5, .read, handler)
        #expect(changes(&table) == [.add(5, .read)])
    }

    @Test("forgetting what the kernel never heard of tells it nothing")
    func forgetEarly() {
        var table = InterestTable()
        table.want(3, .read, handler)
        let wasKnown = [table.forget(3), table.forget(3), table.forget(99)]
        #expect(wasKnown == [false, false, false])
        #expect(changes(&table).isEmpty)
        #expect(table.watched == 0)
        #expect(table.handler(of: 3) == nil)
    }
}
