import EventLoop
import Postgres
import Queue
import Runtime
import Synchronization
import Testing

/// What happened, in order; from any thread.
private final class Record: Sendable {
    private let events = Mutex<[String]>([])
    var all: [String] { events.withLock { $0 } }
    func add(_ event: String) { events.withLock { $0.append(event) } }
}

struct LoopTests {
    @Test func heartbeatsGoOnUntilThereIsToBeNoOther() async {
        let record = Record()
        let loop = HeartbeatLoop(
            timeout: .seconds(3),
            send: { state, timeout in
                record.add("\(state.map { "\($0)" } ?? "-") \(Int(timeout.seconds))")
                return record.all.count < 4 ? .seconds(Int64(record.all.count)) : nil
            },
            wait: { record.add("wait \(Int($0.seconds))") })
        await loop.run()
        await loop.sendFinal(.draining)
        await loop.sendFinal()
        #expect(record.all == ["- 3", "wait 1", "- 3", "wait 3", "- 3", "draining 2", "stopped 2"])
    }

    private struct Waiter: BackgroundLoop {
        let record: Record
        let begun: AsyncStream<Void>.Continuation
        func run() async {
            record.add("begun")
            begun.finish()
            let (never, continuation) = AsyncStream.makeStream(of: Void.self)
            for await _ in never {}
            withExtendedLifetime(continuation) { record.add("canceled") }
        }
    }

    @Test func loopsAreCanceledAfterTheForeground() async {
        let record = Record()
        let (begun, continuation) = AsyncStream.makeStream(of: Void.self)
        let value = await withBackground([Waiter(record: record, begun: continuation)]) {
            for await _ in begun {}
            record.add("foreground")
            return 7
        }
        #expect(value == 7)
        #expect(record.all == ["begun", "foreground", "canceled"])
    }
}
