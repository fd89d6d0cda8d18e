import OTP
import Synchronization

/// The receiver's counts since its start.
struct Counters: Equatable, Sendable {
    /// Callbacks with Twilio's signature.
    var received = 0
    /// Requests at the callbacks' URL whose signature is missing or wrong.
    var refused = 0
    /// Other requests that were answered with 4xx.
    var malformed = 0
    /// Callbacks for which there was no room, or which the database refused for good.
    var dropped = 0
    /// Callbacks that were recorded.
    var written = 0
    /// Those of them whose messages this database does not know.
    var unknown = 0
}

/// Between the receiver's thread and the loop's: callbacks that wait to be written, and the counters.
///
/// It is bounded, so that it stays small while the database cannot be reached. Further callbacks are dropped, and their
/// messages are polled later.
final class ReceiptBuffer: Sendable {
    /// Yields when there is something to write, and ends once the buffer is closed.
    let arrivals: AsyncStream<Void>
    /// Yields when something is counted that an operator should know of soon.
    let troubles: AsyncStream<Void>

    private let arrival: AsyncStream<Void>.Continuation
    private let trouble: AsyncStream<Void>.Continuation
    private let capacity: Int
    private let state = Mutex(State())

    private struct State {
        var waiting: [Receipt] = []
        var counters = Counters()
        var isClosed = false
    }

    init(capacity: Int) {
        self.capacity = capacity
        (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (troubles, trouble) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: On the receiver's thread

    /// Takes a callback.
    func enqueue(_ receipt: Receipt) {
        let (isFirst, isDropped) = state.withLock { state in
            state.counters.received += 1
            guard state.waiting.count < capacity, !state.isClosed else {
                state.counters.dropped += 1
                return (false, true)
            }
            state.waiting.append(receipt)
            return (state.waiting.count == 1, false)
        }
        if isFirst { arrival.yield() }
        if isDropped { trouble.yield() }
    }

    /// Counts a request that was refused.
    func refused(_ answer: HTTPReply) {
        switch answer {
        case .ok: return
        case .forbidden: state.withLock { $0.counters.refused += 1 }
        case .notStatus, .notHTTP, .notFound, .notAllowed, .tooSlow, .tooLarge, .notForm, .headTooLarge:
            state.withLock { $0.counters.malformed += 1 }
        }
        if answer == .forbidden { trouble.yield() }
    }

    // MARK: On the loop

    /// The oldest callbacks, at most `most` of them.
    func take(_ most: Int) -> [Receipt] {
        state.withLock { state in
            let taken = Array(state.waiting.prefix(most))
            state.waiting.removeFirst(taken.count)
            return taken
        }
    }

    /// Takes callbacks back that cannot be written now, even beyond the capacity.
    func requeue(_ receipts: [Receipt]) { state.withLock { $0.waiting += receipts } }

    func wrote(_ count: Int, known: Int) {
        state.withLock { state in
            state.counters.written += count
            state.counters.unknown += count - known
        }
    }

    func dropped(_ count: Int) { state.withLock { $0.counters.dropped += count } }

    /// Takes no further callbacks. Those that wait are still recorded.
    func close() {
        state.withLock { $0.isClosed = true }
        arrival.finish()
    }

    /// How many wait.
    var waiting: Int { state.withLock { $0.waiting.count } }
    var counters: Counters { state.withLock(\.counters) }
}
