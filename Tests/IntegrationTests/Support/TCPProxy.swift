import Glibc
import Synchronization
import TestSupport

/// Forwards TCP connections from one port to another, until told to cut them. One thread per connection.
final class TCPProxy: Sendable {
    /// The port that it listens on.
    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let isOver = Atomic(false)
    /// Connections made before the last cut are closed. Those made before the last freeze are silent.
    private let epoch = Atomic(0)
    private let frozen = Atomic(-1)
    private let serial = Atomic(0)

    /// On `port`, or on a free one.
    init(port: UInt16 = 0, to target: UInt16) throws {
        self.target = target
        (listener, self.port) = try Loopback.listen(port)
        Threads.detach { self.acceptLoop() }
    }

    /// Breaks every connection. New ones are accepted.
    func cut() { epoch.add(1, ordering: .sequentiallyConsistent) }

    /// Stops all traffic on the open connections and keeps them open, as with a crashed machine. New ones work, unless
    /// they are frozen too.
    func freeze(newOnesToo: Bool = false) {
        frozen.store(
            newOnesToo ? .max : serial.load(ordering: .sequentiallyConsistent), ordering: .sequentiallyConsistent)
    }

    /// Stops it.
    func stop() {
        isOver.store(true, ordering: .sequentiallyConsistent)
        cut()
    }

    private func acceptLoop() {
        while !isOver.load(ordering: .sequentiallyConsistent) {
            var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 20) > 0 else { continue }
            let client = accept(listener, nil, nil)
            guard client >= 0 else { continue }
            let now = epoch.load(ordering: .sequentiallyConsistent)
            let number = serial.add(1, ordering: .sequentiallyConsistent).newValue
            Threads.detach { self.forward(client, number: number, epoch: now) }
        }
        close(listener)
    }

    private func forward(_ client: Int32, number: Int, epoch then: Int) {
        let server = Loopback.socket()
        defer {
            close(client)
            close(server)
        }
        guard Loopback.connect(server, target) else { return }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while epoch.load(ordering: .sequentiallyConsistent) == then {
            if number <= frozen.load(ordering: .sequentiallyConsistent) {
                usleep(20_000)
                continue
            }
            var ends = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&ends, 2, 20) > 0 else { continue }
            for (from, to) in [(0, server), (1, client)] where ends[from].revents != 0 {
                let count = read(ends[from].fd, &buffer, buffer.count)
                guard count > 0, send(to, buffer, count, Int32(MSG_NOSIGNAL)) == count else { return }
            }
        }
    }
}

/// The address of the server of the PG* environment.
enum PostgresServer {
    static func port() throws -> UInt16 {
        let port = Environment.current["PGPORT"] ?? "5432"
        guard let port = UInt16(port) else { throw Trouble("PGPORT is \(port)") }
        return port
    }
}
