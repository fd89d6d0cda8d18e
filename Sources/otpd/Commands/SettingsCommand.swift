internal import ArgumentParser

/// `otpd settings`: every setting, its default and its meaning.
struct SettingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings", abstract: "Print every setting with its default and its meaning.",
        discussion: "It prints the reference, not your values: no secret is read.")

    enum Format: String, ExpressibleByArgument, CaseIterable {
        /// As an environment file, to be edited.
        case env
        /// As the table in deploy/docs/settings.md.
        case markdown
    }

    @Option(name: .long, help: "env: an environment file to start from; markdown: a table.")
    var format = Format.env

    func run() {
        switch format {
        case .env: Output.write(SettingReference.environmentExample)
        case .markdown: Output.write(SettingReference.markdownTable)
        }
    }
}
