internal import EventLoop
internal import HTTPServer
internal import Logging
internal import Runtime

/// A part of a daemon that runs until it is drained.
struct Service: Sendable {
    /// Runs until drained. Returns the failure that ended it, if any.
    let run: @Sendable () async -> Failure?
    /// Waits until the service has begun. Returns false if it cannot begin: then `run` returns.
    var hasBegun: @Sendable () async -> Bool = { true }
    /// Asks the service to end. `run` returns when it has ended.
    let drain: @Sendable () async -> Void
    /// The log line for a failure of this service while the daemon continues.
    var failureMessage: Logger.Message?
    /// Whether it runs until all other services have ended, so that it can show how they end.
    var isLast = false
}

extension Daemon {
    /// Returns `true` at each SIGHUP, and `false` when the daemon stops.
    typealias NextReload = @Sendable () async -> Bool

    /// Runs `services` until the main one has ended, and then drains the others in their order. The services begin in
    /// their order, and the last of them is the main one. If one cannot begin, all of them end.
    ///
    /// - Parameters:
    ///   - started: the metadata of the log line `started`.
    ///   - status: the status line for systemd when all services have begun.
    ///   - reload: reads the settings at each SIGHUP, until it is canceled.
    /// - Throws: the failure of the main service, or of the service that could not begin.
    func run(
        _ services: [Service], on loop: EventLoop, started: Logger.Metadata, status: String,
        reload: @escaping @Sendable (NextReload) async -> Void
    ) async throws {
        let (stop, reloadRequested) = try signals(on: loop)
        enum Ended {
            case service(Int, Failure?)
            case other
        }
        let failure = await withTaskGroup(of: Ended.self) { group -> Failure? in
            group.addTask {
                await feedWatchdog(on: loop)
                return .other
            }
            var failures: [Int: Failure] = [:]
            var running: Set<Int> = []
            /// Waits until the service has ended. Other services may end during the wait.
            func wait(for index: Int) async {
                while running.contains(index), let ended = await group.next() {
                    guard case .service(let index, let failure) = ended else { continue }
                    running.remove(index)
                    failures[index] = failure
                    if failure != nil, let message = services[index].failureMessage { log.error(message) }
                }
            }
            for (index, service) in services.enumerated() {
                running.insert(index)
                group.addTask { .service(index, await service.run()) }
                guard await service.hasBegun() else {
                    for service in services[..<index] { await service.drain() }
                    await wait(for: index)
                    group.cancelAll()
                    return failures[index]
                }
            }
            log.notice("started", metadata: started)
            systemd.ready(status)
            group.addTask {
                await stop.wait()
                if !Task.isCancelled { for service in services where !service.isLast { await service.drain() } }
                return .other
            }
            group.addTask {
                await reload {
                    await reloadRequested.wait()
                    return !Task.isCancelled
                }
                return .other
            }
            let main = services.count - 1
            await wait(for: main)
            for index in services.indices where running.contains(index) {
                await services[index].drain()
                await wait(for: index)
            }
            group.cancelAll()
            return failures[main]
        }
        if let failure { throw failure }
        log.notice("stopped")
    }
}

extension Failure {
    /// The failure of a server that cannot listen.
    init(_ failure: ListenFailure, _ what: String) {
        let code: ExitCode =
            switch failure.kind {
            case .unavailable: .unavailable
            case .refused: .refused
            }
        self.init(code, what, because: "\(failure)")
    }
}
