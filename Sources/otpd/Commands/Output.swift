internal import Glibc

/// Writes to a person or a program that reads us, and ends the process.
enum Output {
    /// Writes `text` to standard output as it is; a reader that has gone is no error.
    static func write(_ text: String) { write(text, to: 1) }

    /// Writes a line to standard output; false when nobody reads it any more.
    static func line(_ line: String) -> Bool { write(line + "\n", to: 1) }

    /// Writes what asks for input to standard error, where it is in nobody's way.
    static func prompt(_ text: String) { write(text, to: 2) }

    /// Writes a line to standard error: what a person should know, and no failure.
    static func note(_ line: String) { write("otpd: \(SingleLine.escaped(line))\n", to: 2) }

    /// Ends the process with a failure's line and its code.
    static func fail(_ failure: Failure) -> Never {
        write("otpd: \(failure)\n", to: 2)
        exit(failure.exitCode.rawValue)
    }

    /// Ends the process with every problem of its settings, a line each.
    static func fail(_ problems: SettingsProblems) -> Never {
        for line in problems.lines { write("otpd: \(line)\n", to: 2) }
        exit(problems.exitCode.rawValue)
    }

    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
