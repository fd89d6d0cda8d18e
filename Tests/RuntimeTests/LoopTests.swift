import Runtime
import Testing

struct LoopTests {
    /// Counts its rounds, and ends by canceling its own task.
    private struct Counting: BackgroundLoop {
        var rounds = 0
        var waits: [Int] = []

        mutating func round() async -> Int {
            rounds += 1
            waits.append(rounds * 10)
            return rounds
        }

        func pause(_ wait: Int) async {
            #expect(wait == rounds)
            if wait == 3 { withUnsafeCurrentTask { $0?.cancel() } }
        }
    }

    @Test func roundsFollowEachOtherUntilCanceled() async {
        let task = Task {
            var loop = Counting()
            await loop.run()
            await loop.run()
            return loop.waits
        }
        #expect(await task.value == [10, 20, 30])
    }
}
