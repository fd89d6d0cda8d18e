import Glibc
import Synchronization
import TestSupport
import Testing

/// The resources of one test: its database, and the processes that it started.
final class TestScope: Sendable {
    @TaskLocal static var current: TestScope?

    let database: TestDatabase
    private let programs = Mutex<[Program]>([])

    init(database: TestDatabase) { self.database = database }

    /// Starts a program that ends with the test.
    func start(
        _ path: String, _ arguments: [String], environment: [String: String], input: String? = nil,
        terminal: String? = nil
    ) throws -> Program {
        let program = try Program(path, arguments, environment: environment, input: input, terminal: terminal)
        programs.withLock { $0.append(program) }
        return program
    }

    func endPrograms() { for program in programs.withLock({ $0 }).reversed() { program.end() } }

    /// The programs' last lines, for the message of a failure.
    var diary: String {
        programs.withLock { $0 }.filter { $0.name != "psql" }.map { program in
            let lines = (program.errors + program.output).split(separator: "\n").suffix(12)
            return "— \(program.name) \(program.pid):\n\(lines.joined(separator: "\n"))"
        }.joined(separator: "\n")
    }
}

/// Gives each test its own database, and ends its programs.
struct DatabaseTrait: SuiteTrait, TestTrait, TestScoping {
    let isMigrated: Bool
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @concurrent @Sendable () async throws -> Void
    ) async throws {
        await Gate.shared.enter()
        do {
            try await perform(body)
            await Gate.shared.leave()
        } catch {
            await Gate.shared.leave()
            throw error
        }
    }

    private func perform(_ body: @concurrent @Sendable () async throws -> Void) async throws {
        let name = try await Template.clone(migrated: isMigrated)
        let database = try await TestDatabase(name: name)
        let scope = TestScope(database: database)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(
                try await TestScope.$current.withValue(scope) {
                    try await Diary.$current.withValue({ scope.diary }, operation: body)
                })
        } catch {
            outcome = .failure(error)
        }
        scope.endPrograms()
        await database.close()
        try await Template.drop(name)
        try outcome.get()
    }
}

extension Trait where Self == DatabaseTrait {
    /// A migrated database.
    static var database: Self { DatabaseTrait(isMigrated: true) }
    /// A database without otpd's schema.
    static var emptyDatabase: Self { DatabaseTrait(isMigrated: false) }
}

/// Limits how many tests run at a time, so that two cores suffice. Most of the time they wait.
private actor Gate {
    static let shared = Gate()
    private var free = 5
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
