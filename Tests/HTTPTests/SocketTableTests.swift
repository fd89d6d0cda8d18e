import Testing

@testable import HTTP

@Suite("Sockets")
struct SocketTableTests {
    @Test("only what was opened here is followed, from idle to active and back, until it is closed")
    func life() {
        var table = SocketTable()
        table.use(7, true)
        #expect(table.state(7) == .foreign)
        table.opened(7)
        #expect(table.state(7) == .idle)
        table.use(7, true)
        #expect(table.state(7) == .active)
        table.use(7, false)
        #expect(table.state(7) == .idle)
        #expect(table.open == 1)
        table.cork(7)
        #expect(table.isCorked(7))
        table.closed(7)
        table.closed(7)
        table.cork(7)
        #expect(!table.isCorked(7) && !table.isCorked(7000))
        #expect(table.state(7) == .foreign)
        #expect(table.state(7000) == .foreign)
        #expect(table.open == 0)
    }
}
