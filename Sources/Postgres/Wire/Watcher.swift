internal import EventLoop

/// Passes the loop's call on to whoever is behind it, without keeping it alive. On the loop's thread alone.
final class Watcher: ReadinessHandler {
    private let body: (Readiness) -> Void
    init(_ body: @escaping (Readiness) -> Void) { self.body = body }
    func ready(_ descriptor: Int32, _ readiness: Readiness) { body(readiness) }
}
