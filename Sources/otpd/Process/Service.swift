internal import EventLoop
internal import HTTPServer
internal import Logging
internal import Runtime

/// A part of a daemon: it works until it is drained.
struct Service: Sendable {
    /// Works until drained; why it could not.
    let run: @Sendable () async -> Failure?
    /// Waits until it has begun; false when it never will, and `run` has returned or is about to.
    var hasBegun: @Sendable () async -> Bool = { true }
    /// Has it end; `run` returns once it has.
    let drain: @Sendable () async -> Void
    /// Logged where it fails while the daemon goes on.
    var failureMessage: Logger.Message?
    /// Whether it works until all others have ended, so that they can be watched on their way out.
    var isLast = false
}

extension Daemon {
    /// Gives `true` with each SIGHUP, and `false` once the daemon leaves.
    typealias NextReload = @Sendable () async -> Bool

    /// Runs `services`, begun in their order, until the main one, which is the last of them, has ended; then drains the
    /// others, in their order. Without all of them begun, nothing runs.
    ///
    /// - Parameters:
    ///   - started: what the line that says so has.
    ///   - status: what systemd is told when everything has begun.
    ///   - reload: reads the settings at each SIGHUP, until it is canceled.
    /// - Throws: why the main service, or one that could not begin, has ended.
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
            /// Waits until the service has ended. Others may end meanwhile.
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
    /// Of a server that could not begin to listen.
    init(_ failure: ListenFailure, _ what: String) {
        let code: ExitCode =
            switch failure.kind {
            case .unavailable: .unavailable
            case .refused: .refused
            }
        self.init(code, what, because: "\(failure)")
    }
}
