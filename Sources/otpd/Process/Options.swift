internal import ArgumentParser
internal import Postgres

/// What commands that print rows have in common.
struct TableOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON instead of a table.")
    var json = false

    func print(_ table: Table) { Output.write(json ? table.json : table.text) }
}

/// Settings as commands read them: from the process's environment and its files. What they warn of goes to standard error.
enum CommandSettings {
    static func database() throws -> DatabaseSettings {
        let settings = try Settings.database(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        for warning in settings.warnings { Output.note(warning) }
        return try checked(settings.database, settings).database
    }

    static func webTier() throws -> Settings.WebTier {
        let settings = try Settings.webTier(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        for warning in settings.warnings { Output.note(warning) }
        return try checked(settings.database, settings)
    }

    /// The daemon's, whose warnings go to its log.
    static func worker() throws -> Settings {
        let settings = try Settings.worker(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        return try checked(settings.database, settings)
    }

    /// The dashboard's, likewise.
    static func dashboard() throws -> Settings.DashboardOnly {
        let settings = try Settings.dashboard(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        return try checked(settings.database, settings)
    }

    /// The receiver's, likewise.
    static func receiver() throws -> Settings.Receiver {
        let settings = try Settings.receiver(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        return try checked(settings.database, settings)
    }

    /// The settings again, once libpq has nothing against those of the database.
    private static func checked<Value>(_ database: DatabaseSettings, _ settings: Value) throws -> Value {
        if let refusal = try Database.settings(database).refusal() {
            throw SettingsProblems(lines: [SingleLine.escaped("\(refusal.variable) \(refusal.reason)")])
        }
        return settings
    }
}
