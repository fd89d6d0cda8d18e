import EventLoop
import Synchronization

/// Performs requests side by side. One that hangs delays no other: only its place stays taken.
///
/// Requests begin, and answers are taken, on the loop. `run` performs them there too, as child tasks.
final class RequestPool<Request: Sendable, Answer: Sendable>: Sendable {
    /// Signaled when a request has ended.
    let hasEnded: Latch
    private let perform: @Sendable (Request) async -> Answer
    private let requests: AsyncStream<Request>
    private let start: AsyncStream<Request>.Continuation
    private let state = Mutex(State())

    private struct State {
        /// Begun, and not taken yet.
        var underWay = 0
        var ended: [Answer] = []
    }

    init(on loop: EventLoop, _ perform: @escaping @Sendable (Request) async -> Answer) {
        self.perform = perform
        hasEnded = Latch(on: loop)
        (requests, start) = AsyncStream.makeStream()
    }

    /// Requests that have begun and whose answers were not taken.
    var underWay: Int { state.withLock(\.underWay) }

    /// Begins a request. The caller keeps to a number at a time.
    func begin(_ request: Request) {
        state.withLock { $0.underWay += 1 }
        start.yield(request)
    }

    /// The answers since the last call.
    func takeEnded() -> [Answer] {
        state.withLock { state in
            defer {
                state.underWay -= state.ended.count
                state.ended = []
            }
            return state.ended
        }
    }

    /// Performs requests until canceled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await request in requests {
                group.addTask { [self] in
                    let answer = await perform(request)
                    state.withLock { $0.ended.append(answer) }
                    hasEnded.signal()
                }
            }
        }
    }
}
