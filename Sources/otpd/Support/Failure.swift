internal import OTP

/// The end of a command that failed: one line for people, one number for programs.
struct Failure: Error, Equatable, CustomStringConvertible {
    let exitCode: ExitCode
    /// What failed, in lower case: `cannot connect to the database`.
    let what: String
    /// Why: `connection refused at 127.0.0.1:5432`. It holds no code, no secret and no full phone number.
    let why: String
    /// What to do, as a sentence: `Start PostgreSQL, or set DATABASE_URL`. Nil where `why` already says it.
    let remedy: String?

    init(_ exitCode: ExitCode, _ what: String, because why: String, remedy: String? = nil) {
        self.exitCode = exitCode
        self.what = what
        self.why = why
        self.remedy = remedy
    }

    /// One line, whatever the parts contain: `what: why. Remedy.`
    var description: String {
        var line = Self.trimmed(what) + ": " + Sentence.ended(Self.trimmed(why))
        if let remedy { line += " " + Sentence.ended(Self.trimmed(remedy)) }
        return SingleLine.escaped(line)
    }

    /// Messages of libpq, libcurl and the kernel may end in line breaks or in several full stops.
    private static func trimmed(_ part: String) -> String {
        var part = Substring(part)
        while let last = part.last, last.isWhitespace || last == "." { part.removeLast() }
        return String(part.drop(while: \.isWhitespace))
    }
}

/// Every problem of the configuration.
struct SettingsProblems: Error, Equatable, CustomStringConvertible {
    /// One line for each problem: what is wrong, why, and what to do. No line holds a credential's value.
    let lines: [String]

    /// The exit code of a program with such a configuration.
    var exitCode: ExitCode { .configuration }

    var description: String { lines.joined(separator: "\n") }
}
