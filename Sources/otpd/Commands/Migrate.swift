internal import ArgumentParser
internal import EventLoop
internal import Glibc
internal import OTP
internal import Postgres
internal import Queue

/// `otpd migrate`: applies, takes back, shows and checks the schema's migrations.
struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create or update the schema in the database, take it back, show it or check it.",
        subcommands: [Up.self, Down.self, Show.self, Check.self])

    struct Up: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Apply the migrations that are missing.")

        @Flag(name: .long, help: "Only show the missing migrations, and what each one locks and for how long.")
        var dryRun = false

        func run() throws {
            if dryRun { return try preview() }
            let done = try migrating("cannot migrate the schema") { migrator throws(Migrator.Failure) in
                let done = try await migrator.up(
                    { Output.write("up    \($0.version)  \($0.name)\n") }, waiting: Migrate.note)
                for moved in try await migrator.advanceSequences() {
                    Output.write(
                        "moved  \(moved.sequence)  from \(moved.last) to \(moved.used), the highest number in use\n")
                }
                return done
            }
            if done.numbers { Output.write("up    phone numbers \(NumberTable.embedded)\n") }
            guard done.steps.isEmpty, !done.numbers else { return }
            Output.write("\(done.state.message) There was nothing to do.\n")
        }

        /// Prints the missing migrations, and changes nothing.
        private func preview() throws {
            let state = try migrating("cannot read the schema") { migrator throws(Migrator.Failure) in
                try await migrator.read().state
            }
            let next: Int
            switch state {
            case .absent: next = 1
            case .behind(let missing, _, _): next = missing
            case .current, .newer(_, _, isUsable: true):
                return Output.write("\(state.message) There is nothing to do.\n")
            case .newer, .changed: throw Failure(.configuration, "cannot migrate the schema", because: state.message)
            }
            for migration in Migration.all where migration.version >= next {
                let locks = migration.locks ?? "It makes new objects only, and locks nothing that is in use."
                Output.write("\(migration.version)  \(migration.name)  \(locks)\n")
            }
        }
    }

    struct Down: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take back the newest migration, or all after --to. This deletes their tables with the data.")

        @Option(name: .long, help: "The newest migration to keep. 0 takes all of them back.")
        var to: Int?

        @Flag(name: .long, help: "Delete data without a question.")
        var yes = false

        func validate() throws {
            if let to, !(0...Migration.newest).contains(to) {
                throw ValidationError("--to \(to) is out of range. Use a number from 0 to \(Migration.newest).")
            }
        }

        func run() throws {
            let target = to
            if !yes { try confirm() }
            let done = try migrating("cannot take the schema back") { migrator throws(Migrator.Failure) in
                try await migrator.down(
                    to: target, { Output.write("down  \($0.version)  \($0.name)\n") }, waiting: Migrate.note)
            }
            if done.isEmpty { Output.write("There was nothing to take back.\n") }
        }

        /// Asks for the database's name before data is deleted. Without a terminal it refuses.
        private func confirm() throws {
            let target = to
            let losses = try migrating("cannot take the schema back") { migrator throws(Migrator.Failure) in
                try await migrator.losses(to: target)
            }
            guard let losses else { return }
            let tables = losses.tables.map { "\($0.name) (about \($0.rows) rows)" }
            let what =
                (losses.isWhole
                    ? "this deletes the schema otp of database \(losses.database) with its data: "
                    : "this deletes tables of the schema otp of database \(losses.database) with their data: ")
                + (tables.isEmpty ? "no rows yet" : tables.joined(separator: ", "))
            let refusal = Failure(
                .usage, "nothing was taken back", because: what,
                remedy: "To delete it: otpd migrate down \(to.map { "--to \($0) " } ?? "")--yes")
            guard isatty(0) == 1, isatty(2) == 1 else { throw refusal }
            Output.note(what)
            Output.prompt("Type the database's name to delete it: ")
            guard readLine(strippingNewline: true) == losses.database else { throw refusal }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Show every migration and when it was applied, and the table of phone numbers.")

        @OptionGroup var options: TableOptions

        func run() throws {
            let (applied, numbers) = try migrating("cannot read the schema") { migrator throws(Migrator.Failure) in
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
            abstract: "Check the schema: the exit code is 0 if this otpd can use it, and 78 if not.")

        func run() throws {
            let (state, numbers) = try migrating("cannot check the schema") { migrator throws(Migrator.Failure) in
                let state = try await migrator.read().state
                return (state, try await migrator.readNumberTable())
            }
            guard state.isUsable else {
                throw Failure(.configuration, "this otpd cannot use the schema", because: state.message)
            }
            guard numbers != nil else {
                throw Failure(
                    .configuration, "this otpd cannot use the schema", because: "its table of phone numbers is empty",
                    remedy: "As the schema's owner: otpd migrate up")
            }
            Output.write(state.message + "\n")
        }
    }

    /// Says what a migration waits for.
    private static func note(_ blocker: Migrator.Blocker?) {
        let user = blocker.map { blocker in
            "session \(blocker.pid) of role \(blocker.role)"
                + (blocker.seconds.map { ", whose transaction has been open for \($0) s" } ?? "")
        }
        Output.note(
            "waiting for a table that \(user ?? "another session") uses, and trying again. Sends continue meanwhile. "
                + "To end the wait, let that session commit.")
    }

    /// Runs `body` with a migrator on a new connection. An error becomes a failure that begins with `what`.
    private static func migrating<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable (Migrator) async throws(Migrator.Failure) -> Value
    ) throws -> Value {
        let settings = Database.settings(try CommandSettings.database())
        return try onLoop { loop in
            let connection = try await Database.open(settings, on: loop)
            // A migration may report something, such as a missing setting.
            await connection.onNotice { notice in
                Output.note(notice.hint.map { "\(Sentence.ended(notice.message)) \($0)" } ?? notice.message)
            }
            // A migration may take long on a large table, and another program may hold the lock for as long.
            let migrator = Migrator(on: connection, deadline: .now() + .seconds(600))
            let result: Result<Value, Migrator.Failure>
            do throws(Migrator.Failure) {
                result = .success(try await body(migrator))
            } catch {
                result = .failure(error)
            }
            await connection.close()
            do throws(Migrator.Failure) { return try result.get() } catch { throw failure(what, error) }
        }
    }

    private static func failure(_ what: String, _ failure: Migrator.Failure) -> Failure {
        switch failure {
        case .database(let error): Database.failure(what, error)
        case .refused(let state): Failure(.configuration, what, because: state.message)
        case .step(_, _, _, let error, _), .numbers(let error):
            Failure(Database.failure("", error).exitCode, what, because: "\(failure)")
        }
    }
}
