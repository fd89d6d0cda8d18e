import Logging
import NIOCore

/// The open connections of one run of a server. Closes the ones that `ConnectionPlaces` chooses. On the server's event
/// loop.
final class OpenConnections {
    private let eventLoop: any EventLoop
    private let log: Logger
    private var places: ConnectionPlaces
    private var channels: [Int: any Channel] = [:]
    private var lastID = 0
    /// How many connections were closed to make room since the last report.
    private var displaced = 0
    private var isReportDue = false
    /// Succeeds when the last connection has ended.
    private var quiesced: EventLoopPromise<Void>?

    /// The interval between two reports of closed connections.
    private static let reports = TimeAmount.seconds(60)

    private let stopLimit: TimeAmount

    init(limits: ServerLimits, on eventLoop: any EventLoop, log: Logger) {
        self.eventLoop = eventLoop
        self.log = log
        places = ConnectionPlaces(limits)
        stopLimit = .milliseconds(limits.stopMilliseconds)
    }

    private var now: Int64 { Int64(eventLoop.now.uptimeNanoseconds / 1_000_000) }

    /// Gives a new connection its place, and closes another one if necessary.
    func open(_ channel: any Channel) -> ConnectionPlace {
        lastID += 1
        let id = lastID
        channels[id] = channel
        let client = ClientAddress.key(channel.remoteAddress?.ipAddress ?? "")
        if let victim = places.open(id, client: client, now: now) { displace(victim) }
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
            places.close(id)
            channels[id] = nil
            if channels.isEmpty { quiesced?.succeed() }
        }
        return ConnectionPlace(id: id, connections: self)
    }

    /// Lets every connection end with the request under way, and closes the remaining ones after the limit.
    ///
    /// - Returns: succeeds when no connection is left. Nothing may be opened after this call.
    func quiesce() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        guard !channels.isEmpty else {
            promise.succeed()
            return promise.futureResult
        }
        quiesced = promise
        for channel in channels.values { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
        let limit = eventLoop.assumeIsolated().scheduleTask(in: stopLimit) { [self] in closeAll() }
        promise.futureResult.assumeIsolated().whenComplete { _ in limit.cancel() }
        return promise.futureResult
    }

    func closeAll() { for channel in channels.values { channel.close(promise: nil) } }

    fileprivate func set(_ id: Int, _ activity: ConnectionPlaces.Activity) { places.set(id, activity, now: now) }

    fileprivate func trust(_ id: Int) { places.trust(id) }

    private func displace(_ id: Int) {
        channels.removeValue(forKey: id)?.close(promise: nil)
        displaced += 1
        guard !isReportDue else { return }
        isReportDue = true
        // The first one is reported at once, together with those of the same moment. After that there is one report a
        // minute at most.
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
