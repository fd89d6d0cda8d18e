import Glibc
import Synchronization

/// A gate that threads wait at until a test opens it.
final class Gate: Sendable {
    private let opened = Mutex(false)

    var isOpen: Bool { opened.withLock { $0 } }

    func open() { opened.withLock { $0 = true } }

    /// Blocks the calling thread.
    func wait() { while !isOpen { usleep(1000) } }
}
