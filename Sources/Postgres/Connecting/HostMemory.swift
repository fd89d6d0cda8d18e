internal import EventLoop
import Synchronization

/// The addresses that were of no use a short while ago: a statement there got no answer in time, or the session's first steps
/// failed. Sessions try them last, for five minutes.
///
/// An old primary that nobody has fenced takes connections and says that it takes writes, and its commits hang. Without
/// this memory, a session would go back to it after each deadline. Several sessions may share one, from any thread.
public final class HostMemory: Sendable {
    static let span = Instant.Duration.seconds(300)

    /// One address as the settings name it.
    struct Address: Hashable, Sendable {
        var host: String
        var address: String
        var port: String
    }

    private let avoided = Mutex<[Address: Instant]>([:])

    public init() {}

    /// Has `address` tried last from now on.
    func avoid(_ address: Address, at now: Instant) { avoided.withLock { $0[address] = now } }

    /// The addresses to try last at `now`, and when each failed.
    func avoided(at now: Instant) -> [Address: Instant] {
        avoided.withLock { avoided in
            avoided = avoided.filter { now - $0.value < Self.span }
            return avoided
        }
    }
}
