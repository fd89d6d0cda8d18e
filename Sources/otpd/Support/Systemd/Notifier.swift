internal import Glibc

/// Tells systemd how the service is doing (sd_notify(3)), over the datagram socket that `NOTIFY_SOCKET` names.
///
/// Immutable, and one datagram is one system call: usable from any thread. The socket is closed with the last reference.
final class Notifier: Sendable {
    private let descriptor: Int32

    /// Nil when `NOTIFY_SOCKET` is not set: nobody is listening, and there is nothing to say. Connects at once, so that
    /// a socket that cannot be used is an error at start.
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
        // systemd reads at once; should it not, the event loop must not wait for it long.
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

    /// The service is up.
    func ready(status: String) throws(NotifierError) {
        try send(["READY=1", Self.status(status)])
    }

    /// Settings are being read anew; `reloaded` has to follow. The time tells systemd which reload it is (sd_notify(3)).
    func reloading() throws(NotifierError) {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        let microseconds = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
        try send(["RELOADING=1", "MONOTONIC_USEC=\(microseconds)"])
    }

    /// Settings have been read anew, or those of before stay; its status line is what it was.
    func reloaded() throws(NotifierError) {
        try send(["READY=1"])
    }

    /// One line about its state, shown by `systemctl status`.
    func status(_ status: String) throws(NotifierError) {
        try send([Self.status(status)])
    }

    /// The service is on its way out.
    func stopping(status: String) throws(NotifierError) {
        try send(["STOPPING=1", Self.status(status)])
    }

    /// The event loop is turning.
    func watchdog() throws(NotifierError) {
        try send(["WATCHDOG=1"])
    }

    /// A line break would begin another assignment.
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
