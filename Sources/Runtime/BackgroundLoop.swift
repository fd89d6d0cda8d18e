public import Postgres

/// A part of a service that works in the background: everything that runs for as long as the service does has this shape.
public protocol BackgroundLoop: Sendable {
    /// Works until its task is canceled.
    func run() async
}

extension Session: BackgroundLoop {}

/// Runs `loops` beside `foreground`. When that has returned, cancels them and waits for their end.
public func withBackground<Value: Sendable>(
    _ loops: [any BackgroundLoop], _ foreground: () async -> Value
) async -> Value {
    await withTaskGroup(of: Void.self) { group in
        for loop in loops { group.addTask { await loop.run() } }
        let value = await foreground()
        group.cancelAll()
        return value
    }
}
