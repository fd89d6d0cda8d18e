public import Glibc
import Synchronization

/// A child process. Its output goes to files, because a full pipe would block it. It ends with its test at the latest.
public final class Program: Sendable {
    /// The executable's name, without its folder.
    public let name: String
    public let pid: pid_t
    private let outputPath: String
    private let errorPath: String
    private let status = Mutex<Int32?>(nil)

    /// Starts `path`. `environment` is its complete environment; standard input is `input`, or empty. A `terminal` (its
    /// device) becomes its standard input and output, and the program leads a session in it.
    public init(
        _ path: String, _ arguments: [String], environment: [String: String], input: String? = nil,
        terminal: String? = nil
    ) throws {
        let name = String(path.split(separator: "/").last ?? "")
        let folder = try ScratchFolder.shared.get()
        let stem = "\(folder)/\(name)-\(Self.serial.add(1, ordering: .relaxed).newValue)"
        let (outputPath, errorPath, inputPath) = (stem + ".out", stem + ".err", stem + ".in")
        if let input { try Files.write(input, to: inputPath) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let truncating = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND
        if let terminal {
            // The session begins before these actions. The terminal, opened first, becomes the session's controlling
            // terminal.
            posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
            posix_spawn_file_actions_adddup2(&actions, 0, 1)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, input == nil ? "/dev/null" : inputPath, O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 1, outputPath, truncating, 0o600)
        }
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, truncating, 0o600)
        // Closes all other descriptors of the tests.
        Self.closeFrom(3, &actions)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigmask(&attributes, &mask)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // POSIX_SPAWN_SETSID, which glibc's headers hide from Swift.
        let session: Int32 = terminal == nil ? 0 : 0x80
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | session))

        var pid: pid_t = 0
        let code = Self.withStrings([path] + arguments) { argv in
            Self.withStrings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawnp(&pid, path, &actions, &attributes, argv, envp)
            }
        }
        guard code == 0 else { throw Trouble("cannot start \(path): \(String(cString: strerror(code)))") }
        (self.name, self.pid, self.outputPath, self.errorPath) = (name, pid, outputPath, errorPath)
    }

    deinit { end() }

    private static let serial = Atomic(0)

    /// Standard output so far.
    public var output: String { Files.read(outputPath) }
    /// Standard error so far.
    public var errors: String { Files.read(errorPath) }

    /// Its exit code, or minus the signal; nil while it runs.
    public var ending: Int32? {
        status.withLock { status in
            if status == nil {
                var word: Int32 = 0
                if waitpid(pid, &word, WNOHANG) == pid {
                    status = word & 0x7F == 0 ? (word >> 8) & 0xFF : -(word & 0x7F)
                }
            }
            return status
        }
    }

    /// Its memory, in bytes (VmRSS).
    public var residentMemory: Int {
        let line = Files.read("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    /// Sends a signal, if it still runs.
    public func signal(_ signal: Int32) { if ending == nil { kill(pid, signal) } }

    /// Waits for its end. Returns its exit code, or minus the signal.
    public func exit(within span: Duration = .seconds(120)) async throws -> Int32 {
        try await eventually("\(name) has left", within: span) { ending }
    }

    /// Waits for a line of standard error or output that contains `text`.
    public func says(_ text: String, within span: Duration = .seconds(120)) async throws {
        _ = try await eventually("\(name) says: \(text)", within: span) {
            if (errors + output).contains(text) { return true }
            if let ending, !(errors + output).contains(text) { throw Trouble("\(name) left with \(ending): \(errors)") }
            return nil
        }
    }

    /// Kills it and waits for its end.
    public func end() {
        signal(SIGKILL)
        while ending == nil { usleep(1000) }
    }

    /// `posix_spawn_file_actions_addclosefrom_np`, which glibc's headers hide from Swift.
    private static func closeFrom(_ descriptor: Int32, _ actions: inout posix_spawn_file_actions_t) {
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return }
        _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, descriptor)
    }

    private static func withStrings<T>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> T
    ) -> T {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }
}
