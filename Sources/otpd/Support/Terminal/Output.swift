internal import ArgumentParser
internal import Glibc
internal import Synchronization

/// Writes to standard output and standard error, and ends the process.
enum Output {
    /// Writes `text` to standard output without a change. `finish` reports a failed write.
    static func write(_ text: String) { _ = isWritten(text) }

    /// Writes a line to standard output. Returns false when it cannot be written.
    static func line(_ line: String) -> Bool { isWritten(line + "\n") }

    /// Writes a prompt for input to standard error, so that programs that read standard output do not get it.
    static func prompt(_ text: String) { write(text, to: 2) }

    /// Writes a line to standard error that is no failure, such as a warning.
    static func note(_ line: String) { write("otpd: \(SingleLine.escaped(line))\n", to: 2) }

    /// Ends the process with the failure's line and its exit code.
    static func fail(_ failure: Failure) -> Never {
        write("otpd: \(failure)\n", to: 2)
        Glibc.exit(failure.exitCode.rawValue)
    }

    /// Ends the process with one line for each problem of its settings.
    static func fail(_ problems: SettingsProblems) -> Never {
        for line in problems.lines { write("otpd: \(line)\n", to: 2) }
        Glibc.exit(problems.exitCode.rawValue)
    }

    /// Ends the process as ArgumentParser does: help and version on standard output, bad usage on standard error.
    static func end(_ error: any Error, of command: any ParsableCommand.Type) -> Never {
        let message = command.fullMessage(for: error)
        let code = command.exitCode(for: error)
        guard code.isSuccess else {
            if !message.isEmpty { write(message + "\n", to: 2) }
            Glibc.exit(code.rawValue)
        }
        if !message.isEmpty { write(message + "\n") }
        exit(.done)
    }

    /// Ends the process with this code, or with 74 if only standard output failed.
    static func exit(_ code: ExitCode) -> Never {
        if code == .done { finish() }
        Glibc.exit(code.rawValue)
    }

    /// Call this when a command has done its work. If a part of standard output could not be written, on a full disk
    /// for example, it ends the process with an error line and 74. A reader that closed its end is no error.
    static func finish() {
        let code = failed.load(ordering: .relaxed)
        guard code != 0 else { return }
        fail(
            Failure(
                .outputFailed, "cannot write to standard output", because: SystemError.text(code),
                remedy: "The command has done its work, but its output is incomplete"))
    }

    /// Opens /dev/null in the place of a standard input, output or error that is closed. This comes before anything
    /// else is opened, because a socket must not get their numbers. A write to such a standard output still fails.
    static func claimDescriptors() {
        for (descriptor, mode) in [(Int32(0), O_RDONLY), (1, O_RDONLY), (2, O_RDWR)] {
            guard fcntl(descriptor, F_GETFD) < 0 else { continue }
            // open(2) takes the lowest free number, and all numbers below this one are in use.
            unsafe _ = open("/dev/null", mode)
        }
    }

    /// The first error of standard output other than EPIPE. 0 where there was none.
    private static let failed = Atomic<Int32>(0)

    private static func isWritten(_ text: String) -> Bool {
        let code = write(text, to: 1)
        if code != 0, code != EPIPE { _ = failed.compareExchange(expected: 0, desired: code, ordering: .relaxed) }
        return code == 0
    }

    /// Returns 0, or the errno of the write that failed.
    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
                continue
            }
            switch count == 0 ? EIO : errno {
            case EINTR: continue
            case EAGAIN:
                // Another program that shares the descriptor has made it non-blocking.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                unsafe _ = poll(&wait, 1, -1)
            case let code: return code
            }
        }
        return 0
    }
}
