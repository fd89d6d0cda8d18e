internal import ArgumentParser
internal import EventLoop
internal import Postgres
internal import Queue

/// `otpd migrate`: brings the schema up, takes it down, shows and checks it.
struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the database's schema up to this otpd, take it back, show or check it.",
        subcommands: [Up.self, Down.self, Show.self, Check.self])

    struct Up: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Apply the steps that are missing.")

        func run() throws {
            let done = try migrating { migrator throws(Migrator.Failure) in
                let done = try await migrator.up { Output.write("up    \($0.version)  \($0.name)\n") }
                for moved in try await migrator.advanceSequences() {
                    Output.write(
                        "moved  \(moved.sequence)  from \(moved.last) to \(moved.used), the highest number in use\n")
                }
                return done
            }
            if done.isEmpty { Output.write("The schema is current; there was nothing to do.\n") }
        }
    }

    struct Down: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take back the newest step, or all above --to. Taking back step 1 deletes the schema's data.")

        @Option(name: .long, help: "The newest step to keep; 0 takes all back.")
        var to: Int?

        func validate() throws {
            if let to, !(0...Migration.newest).contains(to) {
                throw ValidationError("--to is \(to); give a step from 0 to \(Migration.newest)")
            }
        }

        func run() throws {
            let target = to
            let done = try migrating { migrator throws(Migrator.Failure) in
                try await migrator.down(to: target) { Output.write("down  \($0.version)  \($0.name)\n") }
            }
            if done.isEmpty { Output.write("There was nothing to take back.\n") }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Show every step and whether it is applied.")

        @OptionGroup var options: TableOptions

        func run() throws {
            let applied = try migrating { migrator throws(Migrator.Failure) in try await migrator.read().applied }
            var table = Table(columns: ["version", "name", "applied_at", "by"])
            for migration in Migration.all {
                let step = applied.first { $0.version == migration.version }
                table.append([
                    .integer(Int64(migration.version)), .text(migration.name),
                    step.map { .text($0.appliedAt) } ?? .null,
                    step.map { .text($0.checksum == nil ? "psql" : "otpd") } ?? .null,
                ])
            }
            for step in applied where step.version > Migration.newest {
                table.append([
                    .integer(Int64(step.version)), .text(step.name), .text(step.appliedAt), .text("a newer otpd"),
                ])
            }
            options.print(table)
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Exit with 0 if the schema is exactly the one this otpd expects, with 78 otherwise.")

        func run() throws {
            let state = try migrating { migrator throws(Migrator.Failure) in try await migrator.read().state }
            guard state.isUsable else { throw Failure(.configuration, "The schema does not fit", because: state.words) }
            Output.write(state.words + "\n")
        }
    }

    /// Runs `body` with a migrator on a connection of its own.
    private static func migrating<Value: Sendable>(
        _ body: @escaping @Sendable (Migrator) async throws(Migrator.Failure) -> Value
    ) throws -> Value {
        let settings = Database.settings(try CommandSettings.database())
        return try onLoop { loop in
            let connection = try await Database.open(settings, on: loop)
            // What a step has to say, such as a setting that it found missing.
            await connection.onNotice { notice in
                Output.note("\(notice.message)\(notice.hint.map { ". \($0)" } ?? "")")
            }
            // A migration may take its time on a large table; the lock may be held by another one's.
            let migrator = Migrator(on: connection, deadline: .now() + .seconds(600))
            let result: Swift.Result<Value, Migrator.Failure>
            do throws(Migrator.Failure) {
                result = .success(try await body(migrator))
            } catch {
                result = .failure(error)
            }
            await connection.close()
            do throws(Migrator.Failure) { return try result.get() } catch { throw failure(error) }
        }
    }

    private static func failure(_ failure: Migrator.Failure) -> Failure {
        switch failure {
        case .database(let error): Database.failure("Cannot migrate", error)
        case .refused(let state): Failure(.configuration, "Not migrated", because: state.words)
        case .step(_, _, _, let error, _):
            Failure(Database.failure("", error).exitCode, "Cannot migrate", because: "\(failure)")
        }
    }
}
