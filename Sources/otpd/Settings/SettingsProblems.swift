/// Everything that is wrong with the configuration, at once.
struct SettingsProblems: Error, Equatable, CustomStringConvertible {
    /// A line each: what is wrong, why, and what to do. No value of a credential is in it.
    let lines: [String]

    /// How a program with such a configuration ends.
    var exitCode: ExitCode { .configuration }

    var description: String { lines.joined(separator: "\n") }
}
