internal import Glibc

/// Tells systemd the state of the service (sd_notify(3)), over the datagram socket that `NOTIFY_SOCKET` names.
///
/// Safe from any thread: it is immutable, and each datagram is one system call. The last reference closes the socket.
final class Notifier: Sendable {
    private let descriptor: Int32

    /// Connects at once, so that an unusable socket is an error at start. Nil when `NOTIFY_SOCKET` is not set: then no
    /// process listens.
    static func connect(environment: [String: String]) throws(NotifierError) -> Notifier? {
        guard let path = environment["NOTIFY_SOCKET"], !path.isEmpty else { return nil }
        return try Notifier(path: path)
    }

    /// Connects to a path, or to an abstract name written with a leading `@`.
    init(path: String) throws(NotifierError) {
        var address = try UnixAddress(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .unusable(path: path, reason: SystemError.text(errno)) }
        guard address.connect(descriptor) else {
            let reason = SystemError.text(errno)
            close(descriptor)
            throw .unusable(path: path, reason: reason)
        }
        // systemd reads at once. If it does not, the event loop must not wait long.
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        let length = socklen_t(MemoryLayout<timeval>.size)
        guard unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, length) == 0 else {
            let reason = SystemError.text(errno)
            close(descriptor)
            throw .unusable(path: path, reason: reason)
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Reports that the service has started.
    func ready(status: String) throws(NotifierError) {
        try send(["READY=1", Self.status(status)])
    }

    /// Reports that the settings are being read again. `reloaded` must follow. The time tells systemd which reload it
    /// is (sd_notify(3)).
    func reloading() throws(NotifierError) {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        let microseconds = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
        try send(["RELOADING=1", "MONOTONIC_USEC=\(microseconds)"])
    }

    /// Reports that the reload has ended, with new settings or with the old ones. The status line does not change.
    func reloaded() throws(NotifierError) {
        try send(["READY=1"])
    }

    /// Reports the service's state in one line, which `systemctl status` shows.
    func status(_ status: String) throws(NotifierError) {
        try send([Self.status(status)])
    }

    /// Reports that the service is stopping.
    func stopping(status: String) throws(NotifierError) {
        try send(["STOPPING=1", Self.status(status)])
    }

    /// Reports that the event loop runs.
    func watchdog() throws(NotifierError) {
        try send(["WATCHDOG=1"])
    }

    /// The status as an assignment. Line breaks are escaped, because each line is an assignment.
    private static func status(_ text: String) -> String { "STATUS=" + SingleLine.escaped(text) }

    private func send(_ assignments: [String]) throws(NotifierError) {
        var message = assignments.joined(separator: "\n")
        let code: Int32 = message.withUTF8 { bytes in
            while true {
                if unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) >= 0 {
                    return 0
                }
                if errno != EINTR { return errno }
            }
        }
        guard code == 0 else { throw .notSent(reason: SystemError.text(code)) }
    }
}
