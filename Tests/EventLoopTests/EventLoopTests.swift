import CLinux
import Glibc
import Synchronization
import Testing

@testable import EventLoop

@Suite("Event loop", .timeLimit(.minutes(10)))
struct EventLoopTests {
    /// An actor that lives on the loop, as the connection and the HTTP client do.
    private actor Pinned: ReadinessHandler {
        nonisolated let loop: EventLoop
        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
        private var reader: CheckedContinuation<Readiness, Never>?

        init(_ loop: EventLoop) { self.loop = loop }

        func thread() -> pthread_t { pthread_self() }

        func count(to limit: Int, _ other: Pinned) async -> Int {
            var sum = 0
            for _ in 0..<limit { sum += await other.one() }
            return sum
        }

        func one() -> Int { 1 }

        func readable(_ descriptor: Int32) async -> Readiness {
            await withCheckedContinuation {
                reader = $0
                loop.watch(descriptor, for: .read, self)
            }
        }

        nonisolated func ready(_ descriptor: Int32, _ readiness: Readiness) {
            assumeIsolated { me in
                me.loop.unwatch(descriptor)
                me.reader?.resume(returning: readiness)
                me.reader = nil
            }
        }
    }

    @Test("actors pinned to it share its thread, and their calls to each other never leave it")
    func pinned() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let (a, b) = (Pinned(loop), Pinned(loop))
        let threads = await (a.thread(), b.thread())
        #expect(threads.0 == threads.1)
        #expect(threads.0 != pthread_self())
        let (sum, foreign) = await Task(executorPreference: loop) {
            let before = await onLoop(loop) { loop.foreignJobs }
            let sum = await a.count(to: 1000, b)
            return (sum, await onLoop(loop) { loop.foreignJobs } - before)
        }.value
        #expect(sum == 1000)
        #expect(foreign == 0)
    }

    @Test("a readable descriptor wakes its handler, and data written before it was watched counts")
    func readiness() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        write(ends[1], "x", 1)
        #expect(await Pinned(loop).readable(ends[0]).contains(.read))
    }

    @Test("a peer that has gone is reported though nobody asked for it")
    func hangUp() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[1])
        defer { close(ends[0]) }
        #expect(await Pinned(loop).readable(ends[0]).contains(.failed))
    }

    @Test("a sleep ends no earlier than its due time")
    func sleep() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let due = Instant.now() + .milliseconds(20)
        let woke = try await Task(executorPreference: loop) {
            try await loop.sleep(until: due)
            return Instant.now()
        }.value
        #expect(woke >= due)
    }

    @Test("a canceled sleep ends at once, canceled before it or in it", arguments: [true, false])
    func canceledSleep(early: Bool) async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let asleep = AsyncStream<Void>.makeStream()
        let task = Task(executorPreference: loop) {
            if early {
                while !Task.isCancelled { await Task.yield() }
            }
            asleep.continuation.finish()
            try await loop.sleep(for: .seconds(3600))
        }
        if !early { for await _ in asleep.stream {} }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("timers due at the same time run in the order they were set, a canceled one never")
    func timers() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let fired = await Task(executorPreference: loop) {
            await withCheckedContinuation { (done: CheckedContinuation<[Int], Never>) in
                let order = Order()
                let due = Instant.now() + .milliseconds(5)
                loop.schedule(at: due) { order.values.append(1) }
                let dropped = loop.schedule(at: due) { order.values.append(2) }
                loop.schedule(at: due) { order.values.append(3) }
                loop.schedule(at: due + .milliseconds(1)) { done.resume(returning: order.values) }
                loop.cancel(dropped)
            }
        }.value
        #expect(fired == [1, 3])
    }

    private final class Order { var values: [Int] = [] }

    @Test("observers see each turn begin and end, on the loop")
    func observers() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let seen = await Task(executorPreference: loop) {
            let observer = await onLoop(loop) {
                let observer = Counter()
                loop.addObserver(observer)
                return observer
            }
            while observer.begun.load(ordering: .relaxed) < 3 { try? await loop.sleep(for: .milliseconds(1)) }
            await onLoop(loop) { loop.removeObserver(observer) }
            return observer
        }.value
        #expect(seen.ended.load(ordering: .relaxed) >= 3)
        #expect(seen.foreign.load(ordering: .relaxed) == 0)
    }

    private final class Counter: TurnObserver, Sendable {
        let begun = Atomic(0)
        let ended = Atomic(0)
        let foreign = Atomic(0)
        private let thread = UInt(pthread_self())
        func turnWillBegin(at now: Instant) {
            begun.add(1, ordering: .relaxed)
            if UInt(pthread_self()) != thread { foreign.add(1, ordering: .relaxed) }
        }
        func turnWillEnd() { ended.add(1, ordering: .relaxed) }
    }

    @Test("jobs that queue jobs don't starve timers")
    func fairness() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let stopSpinning = Flag()
        async let spinner: Void = Task(executorPreference: loop) {
            while !stopSpinning.value.load(ordering: .relaxed) { await Task.yield() }
        }.value
        try await Task(executorPreference: loop) { try await loop.sleep(for: .milliseconds(5)) }.value
        stopSpinning.value.store(true, ordering: .relaxed)
        await spinner
    }

    private final class Flag: Sendable { let value = Atomic(false) }

    @Test("many threads may hand it jobs at once, none is lost")
    func foreign() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let pinned = Pinned(loop)
        let sum = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<2000 { group.addTask { await pinned.one() } }
            return await group.reduce(0, +)
        }
        #expect(sum == 2000)
    }
}

/// Runs `body` on the loop's thread.
private func onLoop<T: Sendable>(_ loop: EventLoop, _ body: @Sendable @escaping () -> T) async -> T {
    await Task(executorPreference: loop) { body() }.value
}
