internal import Glibc
internal import Synchronization

/// Writes whole lines to a descriptor, each with one write(2) where the kernel takes the whole line.
///  A full pipe loses no line: the calling thread waits. If the reader of stderr stops reading, the daemon therefore
/// stops too, and systemd's watchdog ends it. When a write fails (a closed pipe, a full disk), the line is lost. The
/// next line that can be written follows a line with the number of lost lines. The program must ignore `SIGPIPE`:
/// otherwise a closed pipe ends it.
///
/// Safe from any thread: the lock is held for one line, so that two lines never mix.
final class LineWriter: Sendable {
    private let descriptor: Int32
    private let lost = Mutex(Loss(count: 0, code: 0))

    private struct Loss {
        var count: Int
        var code: Int32
    }

    /// Writes to a descriptor that its owner keeps open, usually stderr.
    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes a line, which includes its line break. `report` makes the line with the number of lost lines and the
    /// reason.
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

    /// Sends all bytes. Returns 0, or the errno of a failure that waiting does not end.
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

    /// Waits, because another program that shares the descriptor may have made it non-blocking. An error of the
    /// descriptor ends the wait too: the next write reports it.
    private func waitUntilWritable() {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe _ = poll(&wanted, 1, -1)
    }
}
