/// The end of a command that failed: one line for people, one number for programs.
struct Failure: Error, Equatable, CustomStringConvertible {
    let exitCode: ExitCode
    /// What failed: "Cannot connect to the database".
    let what: String
    /// Why, in the words of whoever knows: "connection refused at 127.0.0.1:5432". No code, secret or full number.
    let why: String
    /// What to do: "Start PostgreSQL, or set DATABASE_URL". Nil where it is plain from the rest.
    let remedy: String?

    init(_ exitCode: ExitCode, _ what: String, because why: String, remedy: String? = nil) {
        self.exitCode = exitCode
        self.what = what
        self.why = why
        self.remedy = remedy
    }

    /// One line, whatever the parts contain: `what: why. remedy.`
    var description: String {
        var line = Self.trimmed(what) + ": " + Self.trimmed(why) + "."
        if let remedy { line += " " + Self.trimmed(remedy) + "." }
        return SingleLine.escaped(line)
    }

    /// Messages from libpq, libcurl and the kernel end in line breaks or full stops as they please.
    private static func trimmed(_ part: String) -> String {
        var part = Substring(part)
        while let last = part.last, last.isWhitespace || last == "." { part.removeLast() }
        return String(part.drop(while: \.isWhitespace))
    }
}

/// Everything that is wrong with the configuration, at once.
struct SettingsProblems: Error, Equatable, CustomStringConvertible {
    /// A line each: what is wrong, why, and what to do. No value of a credential is in it.
    let lines: [String]

    /// How a program with such a configuration ends.
    var exitCode: ExitCode { .configuration }

    var description: String { lines.joined(separator: "\n") }
}
