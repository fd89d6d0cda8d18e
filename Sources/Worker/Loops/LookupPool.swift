import EventLoop
import Queue
import Synchronization

/// Performs lookups side by side, over connections that nothing else uses (`Worker`). A lookup that hangs delays no
/// other: only its place stays taken.
///
/// Lookups begin, and results are taken, on the loop. `run` performs them there too, as child tasks.
final class LookupPool: Sendable {
    /// Lookups under way at a time.
    static let atATime = 10

    /// Signalled when a lookup has ended.
    let hasEnded: Latch
    private let lookups: Lookups
    private let jobs: AsyncStream<UnknownJob>
    private let start: AsyncStream<UnknownJob>.Continuation
    private let state = Mutex(State())

    private struct State {
        /// Begun, and not taken yet.
        var underWay = 0
        var ended: [LookupResult] = []
    }

    init(_ lookups: Lookups, on loop: EventLoop) {
        self.lookups = lookups
        hasEnded = Latch(on: loop)
        (jobs, start) = AsyncStream.makeStream()
    }

    /// Lookups that have begun and whose results were not taken.
    var underWay: Int { state.withLock(\.underWay) }

    /// Looks for a job's message. The caller keeps to `atATime`.
    func begin(_ job: UnknownJob) {
        state.withLock { $0.underWay += 1 }
        start.yield(job)
    }

    /// The results since the last call.
    func takeEnded() -> [LookupResult] {
        state.withLock { state in
            defer {
                state.underWay -= state.ended.count
                state.ended = []
            }
            return state.ended
        }
    }

    /// Performs lookups until canceled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs {
                group.addTask { [self] in
                    let result = await lookups.verdict(on: job)
                    state.withLock { $0.ended.append(result) }
                    hasEnded.signal()
                }
            }
        }
    }
}
