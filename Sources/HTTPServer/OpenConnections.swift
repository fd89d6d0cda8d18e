import Logging
import NIOCore

/// The open connections of one run of a server: closes one where `ConnectionPlaces` says so. On the server's event loop.
final class OpenConnections {
    private let eventLoop: any EventLoop
    private let log: Logger
    private var places: ConnectionPlaces
    private var channels: [Int: any Channel] = [:]
    private var lastID = 0
    /// Closed to make room, since the last line about it.
    private var displaced = 0
    private var isReportDue = false

    /// At most one line in this time says that connections were closed.
    private static let reports = TimeAmount.seconds(60)

    init(limits: ServerLimits, on eventLoop: any EventLoop, log: Logger) {
        self.eventLoop = eventLoop
        self.log = log
        places = ConnectionPlaces(places: limits.connections)
    }

    private var now: Int64 { Int64(eventLoop.now.uptimeNanoseconds / 1_000_000) }

    /// Gives a new connection its place, and closes another one where that is necessary.
    func open(_ channel: any Channel) -> ConnectionPlace {
        lastID += 1
        let id = lastID
        channels[id] = channel
        let client = ClientAddress.key(channel.remoteAddress?.ipAddress ?? "")
        if let victim = places.open(id, client: client, now: now) { displace(victim) }
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
            places.close(id)
            channels[id] = nil
        }
        return ConnectionPlace(id: id, connections: self)
    }

    fileprivate func set(_ id: Int, _ activity: ConnectionPlaces.Activity) { places.set(id, activity, now: now) }

    fileprivate func trust(_ id: Int) { places.trust(id) }

    private func displace(_ id: Int) {
        channels.removeValue(forKey: id)?.close(promise: nil)
        displaced += 1
        guard !isReportDue else { return }
        isReportDue = true
        // The first one is reported at once, with those of the same moment; then a line a minute at most.
        eventLoop.assumeIsolated().execute { [self] in report() }
    }

    private func report() {
        guard displaced > 0 else {
            isReportDue = false
            return
        }
        log.warning(
            "all places for connections were taken, and connections were closed to make room for new ones",
            metadata: [
                "count": "\(displaced)",
                "remedy": "Find out which clients keep so many connections open, and keep strangers from the port.",
            ])
        displaced = 0
        eventLoop.assumeIsolated().scheduleTask(in: Self.reports) { [self] in report() }
    }
}

/// One connection's place among the others.
public struct ConnectionPlace {
    fileprivate let id: Int
    fileprivate let connections: OpenConnections

    func set(_ activity: ConnectionPlaces.Activity) { connections.set(id, activity) }
    func trust() { connections.trust(id) }
}
