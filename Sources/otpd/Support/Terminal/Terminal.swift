internal import CLinux
internal import Glibc

/// What standard output is connected to.
enum Terminal {
    /// Whether it is a terminal that can move the cursor: `TERM` is set and is not `dumb`.
    static var isScreen: Bool {
        guard isatty(1) == 1 else { return false }
        let term = ProcessEnvironment.current()["TERM"] ?? ""
        return !term.isEmpty && term != "dumb"
    }

    /// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set (https://no-color.org).
    static var isColoured: Bool { isScreen && (ProcessEnvironment.current()["NO_COLOR"] ?? "").isEmpty }

    /// Its columns and rows. Nil where it is no terminal, or a terminal that does not tell its size.
    static func size() -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}

/// The whole terminal: the alternate screen without a cursor, and each key when it is pressed. `leave` restores it.
///
/// Writes never block. A terminal that takes nothing (Ctrl-S, a stuck connection) misses pictures, and the program can
/// still be ended. Use it only on the loop's thread.
final class Screen {
    /// A descriptor of its own, so that its non-blocking mode does not reach the shell that shares the terminal.
    private let output: Int32
    private let opened: Bool
    private var before: termios?
    private var isEntered = false
    private var pending: ArraySlice<UInt8> = []

    /// How long `leave` waits for the terminal to take the last bytes, in milliseconds.
    private static let leaveTimeout: Int32 = 300
    private static let enterSequence = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l"
    private static let leaveSequence = "\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

    init() {
        let name = unsafe ttyname(1)
        let descriptor = unsafe name.map { unsafe open($0, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) } ?? -1
        (output, opened) = descriptor >= 0 ? (descriptor, true) : (1, false)
    }

    deinit { if opened { close(output) } }

    /// Whether keys can be read: standard input is a terminal too.
    var hasKeys: Bool { isatty(0) == 1 }

    func enter() {
        guard !isEntered else { return }
        isEntered = true
        if hasKeys {
            var settings = termios()
            if unsafe tcgetattr(0, &settings) == 0 {
                before = settings
                // Ctrl-C and Ctrl-Z still send signals. Only line editing and the echo are switched off.
                settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
                unsafe _ = tcsetattr(0, TCSANOW, &settings)
            }
        }
        write(Self.enterSequence)
    }

    func leave() {
        guard isEntered else { return }
        isEntered = false
        // Waiting bytes go first: half a picture would end in the middle of a sequence.
        write(Self.leaveSequence)
        flush(within: Self.leaveTimeout)
        if var before { unsafe _ = tcsetattr(0, TCSANOW, &before) }
        before = nil
    }

    /// Shows lines from the upper left corner on. Returns false when the terminal is closed.
    @discardableResult
    func show(_ lines: [StyledLine], colour: Bool) -> Bool {
        guard isEntered else { return true }
        guard flush(within: 0) else { return false }
        // The terminal has not yet taken the last picture, so this one is left out.
        guard pending.isEmpty else { return true }
        let rows = lines.map { $0.text(colour: colour) + "\u{1B}[K" }
        return write("\u{1B}[H" + rows.joined(separator: "\r\n") + "\u{1B}[J")
    }

    @discardableResult
    private func write(_ text: String) -> Bool {
        pending += Array(text.utf8)
        return flush(within: 0)
    }

    /// Writes the waiting bytes as far as the terminal takes them. Returns false when the terminal is closed.
    @discardableResult
    private func flush(within milliseconds: Int32) -> Bool {
        while !pending.isEmpty {
            let count = unsafe pending.withUnsafeBytes { unsafe Glibc.write(output, $0.baseAddress, $0.count) }
            if count > 0 {
                pending = pending.dropFirst(count)
            } else if errno == EAGAIN {
                guard milliseconds > 0 else { return true }
                var descriptor = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
                guard unsafe poll(&descriptor, 1, milliseconds) > 0 else { return true }
            } else if errno != EINTR {
                pending = []
                return false
            }
        }
        return true
    }
}

/// A line of standard input that the terminal does not show: a code.
enum HiddenLine {
    /// Reads the line. On a terminal it prompts first and switches the echo off. Nil at the end of input.
    static func read(prompt: String) -> String? {
        var before = termios()
        guard isatty(0) == 1, unsafe tcgetattr(0, &before) == 0 else { return readLine(strippingNewline: true) }
        // A signal must not end the program while the echo is off. Signals are blocked, and the signalfd ends the wait.
        var (signals, previous) = (sigset_t(), sigset_t())
        unsafe _ = sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP] { unsafe _ = sigaddset(&signals, signal) }
        unsafe _ = pthread_sigmask(SIG_BLOCK, &signals, &previous)
        let watcher = unsafe signalfd(-1, &signals, Int32(SFD_CLOEXEC))
        var hidden = before
        hidden.c_lflag &= ~tcflag_t(ECHO)
        unsafe _ = tcsetattr(0, TCSAFLUSH, &hidden)
        Output.prompt(prompt)
        var descriptors = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0), pollfd(fd: watcher, events: Int16(POLLIN), revents: 0),
        ]
        while unsafe poll(&descriptors, 2, -1) < 0, errno == EINTR {}
        let line = descriptors[0].revents != 0 ? readLine(strippingNewline: true) : nil
        unsafe _ = tcsetattr(0, TCSAFLUSH, &before)
        Output.prompt("\n")
        close(watcher)
        // Blocked signals are delivered now.
        unsafe _ = pthread_sigmask(SIG_SETMASK, &previous, nil)
        return line
    }
}
