internal import EventLoop
import Synchronization

/// The addresses that failed recently: a statement there got no answer in time, or the session's first steps failed.
/// Sessions try them last, for five minutes.
///
/// An old primary that is not fenced accepts connections and reports that it takes writes, but its commits hang.
/// Without this memory, a session would reconnect to it after each deadline. Several sessions may share one memory,
/// from any thread.
public final class HostMemory: Sendable {
    static let span = Instant.Duration.seconds(300)

    /// One address of the settings.
    struct Address: Hashable, Sendable {
        var host: String
        var address: String
        var port: String
    }

    private let avoided = Mutex<[Address: Instant]>([:])

    public init() {}

    /// Records a failure of `address`, so that it is tried last from now on.
    func avoid(_ address: Address, at now: Instant) { avoided.withLock { $0[address] = now } }

    /// The addresses to try last at `now`, and the time of each failure.
    func avoided(at now: Instant) -> [Address: Instant] {
        avoided.withLock { avoided in
            avoided = avoided.filter { now - $0.value < Self.span }
            return avoided
        }
    }
}
