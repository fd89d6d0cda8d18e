internal import EventLoop
internal import Glibc
internal import Synchronization

/// The processes that this program has started and that still run. For any thread.
enum Children {
    private static let running = Mutex<Set<Int32>>([])

    static func started(_ pid: Int32) { running.withLock { _ = $0.insert(pid) } }
    static func ended(_ pid: Int32) { running.withLock { _ = $0.remove(pid) } }

    /// Kills them, when this program ends early.
    static func killAll() {
        running.withLock { pids in
            for pid in pids { kill(pid, SIGKILL) }
            pids.removeAll()
        }
    }
}

/// A process that this program started. It shares our standard error. Its standard output goes to `output` or nowhere.
final class ChildProcess {
    let pid: Int32
    private var status: Int32?

    /// Starts `program` (looked up in PATH) with our environment and the variables of `environment`.
    init(_ program: String, _ arguments: [String] = [], environment: [String: String] = [:], output: String? = nil)
        throws
    {
        var variables = ChildProcess.ownEnvironment
        variables.merge(environment) { _, new in new }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        // This program blocks signals for its loop. A child starts with none blocked, in its own process group.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: Int32 = 0
        let code = posix_spawnp(&pid, program, &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw BenchError("cannot start \(program): \(String(cString: strerror(code)))") }
        self.pid = pid
        Children.started(pid)
    }

    /// Whether it still runs.
    var isRunning: Bool {
        if status != nil { return false }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return true }
        self.status = status
        Children.ended(pid)
        return false
    }

    /// Waits for its end, and kills it after `span`. Returns its exit code, or 128 plus the number of the signal that
    /// ended it.
    func wait(atMost span: Instant.Duration, on loop: EventLoop) async throws -> Int32 {
        let limit = Instant.now() + span
        while isRunning {
            if Instant.now() > limit { kill(pid, SIGKILL) }
            try await loop.sleep(for: .milliseconds(5))
        }
        let status = status ?? 0
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    /// Tells it to stop and waits for its end.
    func stop(on loop: EventLoop) async throws -> Int32 {
        if isRunning { kill(pid, SIGTERM) }
        return try await wait(atMost: .seconds(25), on: loop)
    }

    /// Read from /proc, because `environ` is a global variable of C, which Swift cannot prove to be unchanged.
    private static let ownEnvironment: [String: String] = {
        var variables: [String: String] = [:]
        for pair in (ProcFile.read("/proc/self/environ") ?? "").split(separator: "\0") {
            guard let equals = pair.firstIndex(of: "=") else { continue }
            variables[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
        }
        return variables
    }()

    /// A variable of our own environment; nil if it is not set or empty.
    static func variable(_ name: String) -> String? { ownEnvironment[name].flatMap { $0.isEmpty ? nil : $0 } }
}
