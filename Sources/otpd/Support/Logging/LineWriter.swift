internal import Glibc
internal import Synchronization

/// Writes whole lines to a descriptor, each in one write(2) where the kernel takes it whole.
///
/// Lines are never dropped because a pipe is full: the caller waits, whatever its thread. A reader of stderr that stops
/// for good therefore stops the daemon, and systemd's watchdog ends that; silence would hide it. When a write fails
/// (a closed pipe, a full disk), the line is lost, and the next that goes through is preceded by one that says how many
/// were. `SIGPIPE` must be ignored by the program, or a closed pipe ends it.
///
/// Safe from any thread: the lock is held for one line, so that two never mix.
final class LineWriter: Sendable {
    private let descriptor: Int32
    private let lost = Mutex(Loss(count: 0, code: 0))

    private struct Loss {
        var count: Int
        var code: Int32
    }

    /// Writes to a descriptor that its owner keeps open: stderr, as a rule.
    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes a line, which brings its own line break. `report` makes the line that tells how many were lost before,
    /// and why.
    func write(_ line: String, report: (_ lost: Int, _ reason: String) -> String) {
        lost.withLock { loss in
            if loss.count > 0 {
                let code = send(report(loss.count, SystemError.text(loss.code)))
                guard code == 0 else {
                    loss = Loss(count: loss.count + 1, code: code)
                    return
                }
                loss.count = 0
            }
            let code = send(line)
            if code != 0 { loss = Loss(count: 1, code: code) }
        }
    }

    /// Sends all bytes; returns 0, or errno of what cannot be waited out.
    private func send(_ line: String) -> Int32 {
        var line = line
        return line.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while unsafe !rest.isEmpty {
                let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                    continue
                }
                switch errno {
                case EINTR: continue
                case EAGAIN: waitUntilWritable()
                default: return errno
                }
            }
            return 0
        }
    }

    /// Whoever shares the descriptor may have made it non-blocking. An error of the descriptor ends the wait too: the
    /// next write tells it.
    private func waitUntilWritable() {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe _ = poll(&wanted, 1, -1)
    }
}
