internal import ArgumentParser
internal import Glibc
internal import Synchronization

/// Writes to a person or a program that reads us, and ends the process.
enum Output {
    /// Writes `text` to standard output as it is. What can't be written is remembered: see `finish`.
    static func write(_ text: String) { _ = isWritten(text) }

    /// Writes a line to standard output; false when it can't be written any more.
    static func line(_ line: String) -> Bool { isWritten(line + "\n") }

    /// Writes what asks for input to standard error, apart from what a program reads.
    static func prompt(_ text: String) { write(text, to: 2) }

    /// Writes a line to standard error: what a person should know, and no failure.
    static func note(_ line: String) { write("otpd: \(SingleLine.escaped(line))\n", to: 2) }

    /// Ends the process with a failure's line and its code.
    static func fail(_ failure: Failure) -> Never {
        write("otpd: \(failure)\n", to: 2)
        Glibc.exit(failure.exitCode.rawValue)
    }

    /// Ends the process with every problem of its settings, a line each.
    static func fail(_ problems: SettingsProblems) -> Never {
        for line in problems.lines { write("otpd: \(line)\n", to: 2) }
        Glibc.exit(problems.exitCode.rawValue)
    }

    /// Ends the process as ArgumentParser would: help and version on standard output, bad usage on standard error.
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

    /// Ends the process with this code, unless nothing else failed and standard output did.
    static func exit(_ code: ExitCode) -> Never {
        if code == .done { finish() }
        Glibc.exit(code.rawValue)
    }

    /// To be called when a command has done its work: ends the process with a line and 74 when a part of standard output
    /// could not be written, on a full disk for example. A reader that has gone is no error.
    static func finish() {
        let code = failed.load(ordering: .relaxed)
        guard code != 0 else { return }
        fail(
            Failure(
                .outputFailed, "Cannot write to standard output", because: SystemError.text(code),
                remedy: "The command has done its work; its output is not complete"))
    }

    /// Takes the places of standard input, output and error that are closed, before anything else is opened: a socket
    /// must not get their numbers. What is written to a closed standard output fails, as it would without this.
    static func claimDescriptors() {
        for (descriptor, mode) in [(Int32(0), O_RDONLY), (1, O_RDONLY), (2, O_RDWR)] {
            guard fcntl(descriptor, F_GETFD) < 0 else { continue }
            // The lowest number that is free, and those below are taken.
            unsafe _ = open("/dev/null", mode)
        }
    }

    /// Why standard output could not be written: the first error but EPIPE; 0 where there was none.
    private static let failed = Atomic<Int32>(0)

    private static func isWritten(_ text: String) -> Bool {
        let code = write(text, to: 1)
        if code != 0, code != EPIPE { _ = failed.compareExchange(expected: 0, desired: code, ordering: .relaxed) }
        return code == 0
    }

    /// 0, or the error that ended it.
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
                // Not blocking: another program that shares it has said so.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                unsafe _ = poll(&wait, 1, -1)
            case let code: return code
            }
        }
        return 0
    }
}
