internal import ArgumentParser
internal import Postgres

/// The options of commands that print rows.
struct TableOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON instead of a table.")
    var json = false

    func print(_ table: Table) { Output.write(json ? table.json : table.text) }
}

/// Reads a command's settings from the process's environment and its files. Short commands print warnings to standard
/// error.
enum CommandSettings {
    static func database() throws -> DatabaseSettings {
        let settings = try Settings.database(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        for warning in settings.warnings { Output.note(warning) }
        return try checked(settings.database, settings).database
    }

    /// The settings of a command that acts as a backend does.
    static func backend() throws -> Settings.Backend {
        let settings = try Settings.backend(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        for warning in settings.warnings { Output.note(warning) }
        return try checked(settings.database, settings)
    }

    /// The daemon's settings. Their warnings go to its log.
    static func worker() throws -> Settings {
        let settings = try Settings.worker(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        return try checked(settings.database, settings)
    }

    /// The dashboard's settings. Their warnings go to its log.
    static func dashboard() throws -> Settings.DashboardOnly {
        let settings = try Settings.dashboard(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        return try checked(settings.database, settings)
    }

    /// The receiver's settings. Their warnings go to its log.
    static func receiver() throws -> Settings.Receiver {
        let settings = try Settings.receiver(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        return try checked(settings.database, settings)
    }

    /// Returns `settings` if libpq accepts the database's settings.
    private static func checked<Value>(_ database: DatabaseSettings, _ settings: Value) throws -> Value {
        if let refusal = try Database.settings(database).refusal() {
            throw SettingsProblems(lines: [SingleLine.escaped("\(refusal.variable) \(refusal.reason)")])
        }
        return settings
    }
}
