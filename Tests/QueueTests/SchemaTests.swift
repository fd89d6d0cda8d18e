import TestSupport
import Testing

@testable import Queue

@Suite("Schema")
struct SchemaTests {
    private let known = [
        Migration(version: 1, name: "one", up: "1", down: ""), Migration(version: 2, name: "two", up: "2", down: ""),
    ]

    private func applied(_ steps: [(Int, String?)]) -> [AppliedMigration] {
        let sums = ["aa": known[0].checksum, "bb": known[1].checksum]
        return steps.map { version, sum in
            AppliedMigration(
                version: version, name: "step", checksum: sum.map { sums[$0] ?? $0 }, appliedAt: "now",
                oldestProgram: sum.flatMap { $0.hasPrefix("serves ") ? Int($0.dropFirst(7)) : nil })
        }
    }

    private func state(_ steps: [(Int, String?)], oldestSchema: Int = 2) -> SchemaState {
        .of(applied: applied(steps), known: known, oldestSchema: oldestSchema)
    }

    @Test("how a database stands to this program")
    func states() {
        #expect(state([]) == .absent)
        #expect(state([(1, "aa")]) == .behind(next: 2, newest: 2, isUsable: false))
        #expect(state([(2, "bb")]) == .behind(next: 1, newest: 2, isUsable: false), "a gap is behind, not current")
        #expect(state([(1, "aa"), (2, "bb")]) == .current)
        #expect(state([(1, "aa"), (2, nil)]) == .current, "psql ran it: there is no checksum to compare")
        #expect(state([(1, "aa"), (2, "xx")]) == .changed(version: 2, name: "two"))
        #expect(state([(1, "xx")]) == .changed(version: 1, name: "one"), "said before what is missing")
        #expect(state([(1, "aa"), (2, "bb"), (3, "cc")]) == .newer(database: 3, program: 2, isUsable: false))
        #expect(state([(3, "cc")]) == .newer(database: 3, program: 2, isUsable: false))
    }

    @Test("a schema of one version before or after is worked on, if the newer of the two says that it fits")
    func neighbours() {
        #expect(state([(1, "aa")], oldestSchema: 1) == .behind(next: 2, newest: 2, isUsable: true))
        #expect(!state([(2, "bb")], oldestSchema: 0).isUsable, "a gap is no older schema")
        #expect(!state([], oldestSchema: 0).isUsable)
        let both = [(1, "aa"), (2, "bb")] as [(Int, String?)]
        #expect(state(both + [(3, "serves 2")]) == .newer(database: 3, program: 2, isUsable: true))
        #expect(state(both + [(3, "serves 1"), (4, "serves 2")]).isUsable)
        #expect(!state(both + [(3, "serves 3")]).isUsable)
        #expect(!state(both + [(3, "serves 2"), (4, "serves 3")]).isUsable, "one that does not serve it is enough")
        #expect(!state([(1, "aa"), (3, "serves 2")]).isUsable, "it lacks a step that this program needs")
        #expect(state([(1, "xx"), (2, "bb"), (3, "serves 2")]) == .changed(version: 1, name: "one"))
    }

    @Test("a migration of a later release says what it locks and which programs it serves")
    func laterMigrations() {
        #expect(Migration.all.flatMap(\.omissions) == [])
        #expect(Migration.oldestSchema <= Migration.newest)
        let bare = Migration(version: 28, name: "bare", up: "ALTER TABLE otp.messages ADD note text", down: "")
        #expect(bare.omissions.count == 2)
        let whole = Migration(
            version: 28, name: "whole",
            up:
                "-- Notes.\n-- Locks: otp.messages for a moment, for any number of rows.\nINSERT … (version, name, oldest_program)",
            down: "")
        #expect(whole.omissions == [])
        #expect(whole.locks == "otp.messages for a moment, for any number of rows.")
    }

    @Test("checksums are SHA-256 as everybody computes it")
    func checksum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(Migration(version: 1, name: "empty", up: "", down: "").checksum == empty)
    }

    @Test("a schema that does not fit is not worked on, and says what to do")
    func words() {
        let all: [SchemaState] = [
            .absent, .behind(next: 2, newest: 3, isUsable: false), .newer(database: 4, program: 3, isUsable: false),
            .changed(version: 1, name: "one"),
        ]
        #expect(SchemaState.current.isUsable)
        for state in all {
            #expect(!state.isUsable)
            #expect(state.message.hasSuffix("."))
        }
    }

    @Test("a step that makes tables says which ones go with it")
    func tables() {
        for step in Migration.all.dropFirst() {
            let made = step.up.matches(of: #/\nCREATE TABLE otp\.(\w+)/#).map { String($0.output.1) }
            #expect(step.droppedTables.sorted() == made.sorted(), "\(step.name)")
        }
        #expect(Migration.all.first?.down.contains("DROP SCHEMA otp CASCADE") == true)
    }

    @Test("every file of migrations/ is compiled in, byte for byte, numbered from 1 without gaps")
    func embedded() {
        let files = Files.list("\(Repository.root)/migrations").filter { $0.hasSuffix(".sql") }
        // And the table of phone numbers, which is data and no step.
        #expect(files.count == 2 * Migration.all.count + 1)
        #expect(Repository.read("migrations/numbers.sql") == NumberTable.sql)
        #expect(Migration.all.map(\.version) == Array(1...Migration.newest))
        for migration in Migration.all {
            let number = String(repeating: "0", count: 4 - "\(migration.version)".count) + "\(migration.version)"
            for (direction, sql) in [("up", migration.up), ("down", migration.down)] {
                #expect(Repository.read("migrations/\(number)_\(migration.name).\(direction).sql") == sql)
            }
        }
    }
}
