internal import ArgumentParser

/// What commands that print rows have in common.
struct TableOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON instead of a table.")
    var json = false

    func print(_ table: Table) { Output.write(json ? table.json : table.text) }
}

/// Settings as commands read them: from the process's environment and its files.
enum CommandSettings {
    static func database() throws(SettingsProblems) -> Settings.Database {
        try Settings.database(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
    }

    static func webTier() throws(SettingsProblems) -> Settings.WebTier {
        try Settings.webTier(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
    }

    static func worker() throws(SettingsProblems) -> Settings {
        try Settings.worker(environment: ProcessEnvironment.current(), readFile: SmallFile.read).get()
    }
}
