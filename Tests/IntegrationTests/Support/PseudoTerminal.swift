import Glibc
import Synchronization
import TestSupport

/// A program in its own terminal, whose other end is the test.
final class PseudoTerminal: Sendable {
    let program: Program
    private let master: Int32
    private let bytes = Mutex<[UInt8]>([])

    /// Starts `path` as the leader of a session, with the terminal as its standard input and output.
    init(
        _ path: String, _ arguments: [String], environment: [String: String], columns: Int, rows: Int
    ) throws {
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
        // unlockpt and ptsname, which glibc's headers hide from Swift, done with TIOCSPTLCK and TIOCGPTN.
        var (lock, number): (Int32, UInt32) = (0, 0)
        guard master >= 0, ioctl(master, 0x4004_5431, &lock) == 0, ioctl(master, 0x8004_5430, &number) == 0 else {
            throw Trouble("no pseudo terminal: \(String(cString: strerror(errno)))")
        }
        var environment = environment
        if environment["TERM"] == nil { environment["TERM"] = "xterm-256color" }
        let slave = "/dev/pts/\(number)"
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        guard ioctl(master, UInt(TIOCSWINSZ), &size) == 0 else { throw Trouble("the terminal takes no size") }
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        program = try scope.start(path, arguments, environment: environment, terminal: slave)
    }

    deinit { close(master) }

    /// Everything that it has displayed so far.
    var shown: String {
        bytes.withLock { bytes in
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(master, &chunk, chunk.count)
                guard count > 0 else { break }
                bytes += chunk.prefix(count)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The lines of the last complete picture, without colors.
    var picture: [String] {
        let pictures = shown.components(between: "\u{1B}[H", and: "\u{1B}[J")
        return (pictures.last ?? "").replacingSequences.unicodeScalars.split(
            separator: "\n", omittingEmptySubsequences: false
        )
        .map { String($0).replacing("\r", with: "") }
    }

    /// Waits until the last picture has a line that contains `text`.
    func shows(_ text: String) async throws {
        _ = try await eventually("the terminal shows: \(text)\n\(picture.joined(separator: "\n"))") {
            picture.contains { $0.contains(text) } ? true : nil
        }
    }

    func type(_ text: String) { _ = write(master, text, text.utf8.count) }

    func resize(columns: Int, rows: Int) throws {
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        guard ioctl(master, UInt(TIOCSWINSZ), &size) == 0 else { throw Trouble("the terminal takes no size") }
    }

    /// Whether typed text is echoed and read in lines, as at the start.
    var isAsBefore: Bool {
        var settings = termios()
        guard tcgetattr(master, &settings) == 0 else { return false }
        return settings.c_lflag & tcflag_t(ECHO) != 0 && settings.c_lflag & tcflag_t(ICANON) != 0
    }

    var isEchoing: Bool {
        var settings = termios()
        return tcgetattr(master, &settings) == 0 && settings.c_lflag & tcflag_t(ECHO) != 0
    }
}

extension String {
    /// The text between each `start` and the next `end`.
    fileprivate func components(between start: String, and end: String) -> [String] {
        var (found, rest): ([String], Substring) = ([], self[...])
        while let begin = rest.firstRange(of: start) {
            rest = rest[begin.upperBound...]
            guard let finish = rest.firstRange(of: end) else { break }
            found.append(String(rest[..<finish.lowerBound]))
            rest = rest[finish.upperBound...]
        }
        return found
    }

    /// The text without control sequences.
    fileprivate var replacingSequences: String { replacing(#/\u{1B}\[[0-9;?]*[A-Za-z]/#, with: "") }
}
