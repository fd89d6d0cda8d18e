import NIOCore
import NIOHTTP1
import NIOPosix

/// Sends signed callbacks when they are due, over a few kept connections per receiver. Used only on its event loop.
///
/// Like Twilio, it does not retry for long. A POST that cannot connect or gets no 2xx is tried once more after a
/// second.
final class CallbackPoster {
    private static let maxConnections = 32
    private static let maxWaiting = 100_000
    private static let attempts = 2

    private struct Post {
        var callback: Callback
        var attempt = 1
    }

    private struct Receiver: Hashable {
        var host: String
        var port: Int
    }

    private final class Line {
        var idle: [any NIOCore.Channel] = []
        var open = 0
        var waiting: [Post] = []
    }

    private let loop: any EventLoop
    private let simulator: Simulator
    private var lines: [Receiver: Line] = [:]

    init(loop: any EventLoop, simulator: Simulator) {
        self.loop = loop
        self.simulator = simulator
    }

    func schedule(_ scheduled: ScheduledCallback) {
        let post = Post(callback: scheduled.callback)
        loop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(scheduled.afterMilliseconds))) {
            self.start(post)
        }
    }

    private func line(_ post: Post) -> Line {
        let receiver = Receiver(host: post.callback.url.host, port: post.callback.url.port)
        if let line = lines[receiver] { return line }
        let line = Line()
        lines[receiver] = line
        return line
    }

    private func start(_ post: Post) {
        guard simulator.isDue(post.callback) else { return }
        let line = line(post)
        if let channel = line.idle.popLast() {
            send(post, on: channel, line)
        } else if line.open < Self.maxConnections {
            line.open += 1
            connect(post, line)
        } else if line.waiting.count < Self.maxWaiting {
            line.waiting.append(post)
        } else {
            simulator.statistics.callbacksFailed += 1
        }
    }

    private func connect(_ post: Post, _ line: Line) {
        ClientBootstrap(group: loop)
            .connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(CallbackExchange())
                }
            }
            .connect(host: post.callback.url.host, port: post.callback.url.port)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    self.send(post, on: channel, line)
                case .failure:
                    line.open -= 1
                    self.failed(post)
                }
            }
    }

    private func send(_ post: Post, on channel: any NIOCore.Channel, _ line: Line) {
        let exchange: CallbackExchange
        do {
            exchange = try channel.pipeline.syncOperations.handler(type: CallbackExchange.self)
        } catch {
            // The connection was lost while it was idle.
            line.open -= 1
            return start(post)
        }
        let token = simulator.credentials.authToken
        exchange.post(post.callback, authToken: token) { succeeded, reusable in
            if succeeded { self.simulator.statistics.callbacksSent += 1 } else { self.failed(post) }
            if reusable {
                if line.waiting.isEmpty {
                    line.idle.append(channel)
                } else {
                    self.send(line.waiting.removeFirst(), on: channel, line)
                }
            } else {
                line.open -= 1
                line.idle.removeAll { $0 === channel }
                channel.close(promise: nil)
                if !line.waiting.isEmpty { self.start(line.waiting.removeFirst()) }
            }
        }
    }

    private func failed(_ post: Post) {
        guard post.attempt < Self.attempts else {
            simulator.statistics.callbacksFailed += 1
            return
        }
        var again = post
        again.attempt += 1
        loop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.start(again) }
    }
}
