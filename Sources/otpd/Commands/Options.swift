internal import ArgumentParser

/// What commands that print rows have in common.
struct TableOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON instead of a table.")
    var json = false

    func print(_ table: Table) { Output.write(json ? table.json : table.text) }
}

/// Settings as commands read them: from the process's environment and its files. What they warn of goes to standard error.
enum CommandSettings {
    static func database() throws(SettingsProblems) -> DatabaseSettings {
        let settings = try Settings.database(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        for warning in settings.warnings { Output.note(warning) }
        return settings.database
    }

    static func webTier() throws(SettingsProblems) -> Settings.WebTier {
        let settings = try Settings.webTier(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
        for warning in settings.warnings { Output.note(warning) }
        return settings
    }

    /// The daemon's, whose warnings go to its log.
    static func worker() throws(SettingsProblems) -> Settings {
        try Settings.worker(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
    }

    /// The dashboard's, likewise.
    static func dashboard() throws(SettingsProblems) -> Settings.DashboardOnly {
        try Settings.dashboard(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
    }

    /// The receiver's, likewise.
    static func receiver() throws(SettingsProblems) -> Settings.Receiver {
        try Settings.receiver(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
    }
}
