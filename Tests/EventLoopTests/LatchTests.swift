import Glibc
import TestSupport
import Testing

@testable import EventLoop

@Suite("Latch", .timeLimit(.minutes(10)))
struct LatchTests {
    @Test("a signal with nobody waiting is kept for the next wait, once")
    func kept() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let took = await Task(executorPreference: loop) {
            let latch = Latch(on: loop)
            latch.signal()
            latch.signal()
            await latch.wait()
            let begun = Instant.now()
            await latch.wait(until: begun + .milliseconds(20))
            return Instant.now() - begun
        }.value
        #expect(took >= .milliseconds(20), "the second wait must not be served by the second signal")
    }

    @Test("a signal wakes the waiter, and its timer does not wake the next one")
    func wakes() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let latch = Latch(on: loop)
        let waiter = Task(executorPreference: loop) {
            await latch.wait(until: .now() + .seconds(3600))
            let begun = Instant.now()
            await latch.wait(until: begun + .milliseconds(10))
            return Instant.now() - begun
        }
        await Task(executorPreference: loop) {
            await Task.yield()
            latch.signal()
        }.value
        #expect(await waiter.value >= .milliseconds(10))
    }

    /// An actor of the loop, which any task may call: one of the loop, or one of a test.
    private actor Owner {
        nonisolated let loop: EventLoop
        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
        private let latch: Latch
        private(set) var waits = 0

        init(on loop: EventLoop) {
            self.loop = loop
            latch = Latch(on: loop)
        }

        func wait() async {
            // Behind this job: it runs as soon as the wait lets another job in.
            Task(executorPreference: loop) { await self.signal() }
            await latch.wait()
            waits += 1
        }

        private func signal() { latch.signal() }
    }

    @Test("a signal that comes while a wait begins is not lost", arguments: [true, false])
    func beginning(isOnLoop: Bool) async throws {
        let loop = try EventLoop.start()
        let owner = Owner(on: loop)
        let waiter =
            isOnLoop
            ? Task(executorPreference: loop) { for _ in 0..<1000 { await owner.wait() } }
            : Task { for _ in 0..<1000 { await owner.wait() } }
        try await eventually("a thousand waits have ended") { await owner.waits == 1000 ? true : nil }
        await waiter.value
        loop.stop()
    }

    @Test("cancellation ends a wait, before it and in it", arguments: [true, false])
    func canceled(early: Bool) async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let latch = Latch(on: loop)
        let waiter = Task(executorPreference: loop) {
            if early { while !Task.isCancelled { await Task.yield() } }
            await latch.wait()
        }
        if !early { await Task(executorPreference: loop) { await Task.yield() }.value }
        waiter.cancel()
        await waiter.value
    }
}

@Suite("Signals", .timeLimit(.minutes(10)))
struct SignalsTests {
    @Test("a signal sent to this process's thread arrives on the loop")
    func arrives() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let (stream, continuation) = AsyncStream<Int32>.makeStream()
        try await Task(executorPreference: loop) {
            // For the loop's thread alone, because the test process has other threads, which must not be affected.
            Signals.block([SIGUSR2])
            try Signals.watch([SIGUSR2], on: loop) { continuation.yield($0) }
            pthread_kill(pthread_self(), SIGUSR2)
        }.value
        var iterator = stream.makeAsyncIterator()
        #expect(await iterator.next() == SIGUSR2)
    }
}
