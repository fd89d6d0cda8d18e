internal import ArgumentParser
internal import EventLoop
internal import Glibc
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
            if done.numbers { Output.write("up    phone numbers \(NumberTable.embedded)\n") }
            if done.steps.isEmpty, !done.numbers { Output.write("The schema is current; there was nothing to do.\n") }
        }
    }

    struct Down: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take back the newest step, or all above --to. A step that made tables takes their data with it.")

        @Option(name: .long, help: "The newest step to keep; 0 takes all back.")
        var to: Int?

        @Flag(name: .long, help: "Delete data without asking.")
        var yes = false

        func validate() throws {
            if let to, !(0...Migration.newest).contains(to) {
                throw ValidationError("--to is \(to); give a step from 0 to \(Migration.newest)")
            }
        }

        func run() throws {
            let target = to
            if !yes { try confirm() }
            let done = try migrating { migrator throws(Migrator.Failure) in
                try await migrator.down(to: target) { Output.write("down  \($0.version)  \($0.name)\n") }
            }
            if done.isEmpty { Output.write("There was nothing to take back.\n") }
        }

        /// Where data would go, on a terminal the database's name has to be typed.
        private func confirm() throws {
            let target = to
            let losses = try migrating { migrator throws(Migrator.Failure) in try await migrator.losses(to: target) }
            guard let losses else { return }
            let tables = losses.tables.map { "\($0.name) about \($0.rows) rows" }
            let what =
                (losses.isWhole
                    ? "the schema otp of database \(losses.database) goes, with its data: "
                    : "tables of the schema otp of database \(losses.database) go, with their data: ")
                + (tables.isEmpty ? "no rows yet" : tables.joined(separator: ", "))
            let refusal = Failure(
                .usage, "Nothing was taken back", because: what,
                remedy: "If that is what you want: otpd migrate down \(to.map { "--to \($0) " } ?? "")--yes")
            guard isatty(0) == 1, isatty(2) == 1 else { throw refusal }
            Output.note("\(what).")
            Output.prompt("Type the database's name to delete this: ")
            guard readLine(strippingNewline: true) == losses.database else { throw refusal }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Show every step and whether it is applied, and the table of phone numbers.")

        @OptionGroup var options: TableOptions

        func run() throws {
            let (applied, numbers) = try migrating { migrator throws(Migrator.Failure) in
                let applied = try await migrator.read().applied
                return (applied, try await migrator.readNumberTable())
            }
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
            table.append([
                .null, .text("phone numbers" + (numbers.map { " \($0)" } ?? "")),
                numbers?.loadedAt.map { .text($0) } ?? .null, numbers == nil ? .null : .text("data"),
            ])
            options.print(table)
            if let news = NumberTable.news(database: numbers, program: .embedded) { Output.note(news) }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Exit with 0 if the schema is exactly the one this otpd expects, with 78 otherwise.")

        func run() throws {
            let (state, numbers) = try migrating { migrator throws(Migrator.Failure) in
                let state = try await migrator.read().state
                return (state, try await migrator.readNumberTable())
            }
            guard state.isUsable else {
                throw Failure(.configuration, "The schema does not fit", because: state.message)
            }
            guard numbers != nil else {
                throw Failure(
                    .configuration, "The schema does not fit", because: "it has no table of phone numbers",
                    remedy: "Run: otpd migrate up")
            }
            Output.write(state.message + "\n")
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
            let result: Result<Value, Migrator.Failure>
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
        case .refused(let state): Failure(.configuration, "Not migrated", because: state.message)
        case .step(_, _, _, let error, _), .numbers(let error):
            Failure(Database.failure("", error).exitCode, "Cannot migrate", because: "\(failure)")
        }
    }
}
