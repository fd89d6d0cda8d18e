internal import CLibpq
internal import EventLoop
internal import Glibc

/// Opens one connection without blocking the loop. Lives on the loop, for one attempt.
actor Connector {
    private nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private enum Wake { case ready, timeUp, canceled }
    private var sleeper: CheckedContinuation<Wake, Never>?
    private var timer: TimerID?
    private var isCanceled = false

    init(on loop: EventLoop) { self.loop = loop }

    /// A connection, and the address that it is connected to.
    struct Opened: Sendable {
        var handle: Handle
        var address: HostMemory.Address
    }

    /// Tries one address after the other until one works, in the order that `hosts` gives, all by `deadline`.
    func open(_ settings: ConnectionSettings, hosts: HostMemory, deadline: Instant) async throws(PostgresError)
        -> Opened
    {
        let outcome: Result<Opened, PostgresError> = await withTaskCancellationHandler {
            do throws(PostgresError) {
                return .success(try await attempt(settings, hosts: hosts, deadline: deadline))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            // Cancellation may come from any thread, so it reaches the actor as a job of the loop.
            Task(executorPreference: loop) { await self.cancel() }
        }
        return try outcome.get()
    }

    private func attempt(
        _ settings: ConnectionSettings, hosts memory: HostMemory, deadline: Instant
    ) async throws(PostgresError) -> Opened {
        try settings.validate()
        var values = try Conninfo(settings.conninfo).values
        let defaults = try await lookUpDefaults(until: deadline)
        let effective = defaults.merging(values) { _, said in said }
        let hosts = try ConnectPlan.hosts(effective)
        let timeout = connectTimeout(effective["connect_timeout"]) ?? settings.connectTimeout
        let names = Set(hosts.compactMap(\.nameToResolve))
        let resolutions = try await lookUp(names, until: min(deadline, .now() + timeout))
        var (candidates, failures) = ConnectPlan.candidates(
            hosts, resolutions, sessionAttributes: effective["target_session_attrs"])

        values.merge(settings.tcpValues) { said, _ in said }
        values["options"] = sessionOptions(effective["options"], adding: settings.sessionOptions)
        values["client_encoding"] = "UTF8"
        if values["fallback_application_name"] == nil {
            values["fallback_application_name"] = settings.applicationName
        }
        for candidate in ConnectPlan.order(candidates, by: memory, at: .now()) {
            let due = min(deadline, .now() + timeout)
            switch await connect(candidate, values, until: due) {
            case .success(let handle): return Opened(handle: handle, address: candidate.key)
            case .failure(.refused(let text, let stage)):
                let refusal = RefusalText(text)
                let safe = ConninfoOptions.secrets.reduce(refusal.message) { redact($0, effective[$1]) }
                failures.append(
                    .init(target: candidate.target, reason: safe, sqlstate: refusal.sqlstate, stage: stage))
            case .failure(.timedOut):
                memory.avoid(candidate.key, at: .now())
                let seconds = timeout.millisecondsRoundedUp / 1000
                let reason = due < deadline ? "no answer within \(seconds) s" : "no answer before the deadline"
                failures.append(.init(target: candidate.target, reason: reason))
                if due >= deadline { throw .connect(ConnectFailure(attempts: failures)) }
            case .failure(.canceled): throw .canceled(.notSent)
            }
        }
        throw .connect(ConnectFailure(attempts: failures))
    }

    // MARK: Looking up

    private func lookUpDefaults(until deadline: Instant) async throws(PostgresError) -> [String: String] {
        // Runs on a thread, because it reads the service file, which may lie on a disk that hangs.
        var found: [String: String]?
        let helper = Helper.start(on: loop) {
            Conninfo.defaults()
        } completion: { [weak self] values in
            found = values
            self?.assumeIsolated { $0.wake(.ready) }
        }
        guard let helper else { throw noThread }
        defer { helper.abandon() }
        let wake = await sleep(until: deadline)
        if let found { return found }
        throw gaveUp(wake, "reading libpq's settings")
    }

    /// The addresses of `names`, resolved all at once. A name without an answer by `due` counts as failed.
    private func lookUp(
        _ names: Set<String>, until due: Instant
    ) async throws(PostgresError) -> [String: Resolution] {
        guard !names.isEmpty else { return [:] }
        var resolutions: [String: Resolution] = [:]
        var helpers: [Helper<Resolution>] = []
        defer { for helper in helpers { helper.abandon() } }
        for name in names {
            let helper = Helper.start(on: loop) {
                HostResolver.resolve(name)
            } completion: { [weak self] resolution in
                resolutions[name] = resolution
                if resolutions.count == names.count { self?.assumeIsolated { $0.wake(.ready) } }
            }
            guard let helper else { throw noThread }
            helpers.append(helper)
        }
        switch await sleep(until: due) {
        case .canceled: throw .canceled(.notSent)
        case .ready: break
        case .timeUp:
            for name in names where resolutions[name] == nil {
                resolutions[name] = .failed("the name was not resolved in time")
            }
        }
        return resolutions
    }

    private var noThread: PostgresError {
        let reason = "cannot start a thread (raise the limits of tasks and of open files)"
        return .connect(ConnectFailure(attempts: [.init(target: "this machine", reason: reason)]))
    }

    private func gaveUp(_ wake: Wake, _ what: String) -> PostgresError {
        switch wake {
        case .canceled: .canceled(.notSent)
        case .timeUp, .ready: .connect(ConnectFailure(attempts: [.init(target: what, reason: "timed out")]))
        }
    }

    // MARK: Connecting

    private enum Failure: Error {
        case refused(String, ConnectFailure.Stage)
        case timedOut
        case canceled
    }

    private func connect(
        _ candidate: ConnectPlan.Candidate, _ values: [String: String], until due: Instant
    ) async -> Result<Handle, Failure> {
        var values = values
        // libpq treats an empty value as missing.
        values["host"] = candidate.host
        values["hostaddr"] = candidate.address
        values["port"] = candidate.port
        if let attributes = candidate.sessionAttributes { values["target_session_attrs"] = attributes }
        guard let handle = start(values) else { return .failure(.refused("libpq is out of memory", .login)) }

        let watcher = Watcher { [weak self] _ in self?.assumeIsolated { $0.wake(.ready) } }
        // With this, the text holds the server's SQLSTATE, which libpq gives nowhere else.
        unsafe _ = handle.with { unsafe PQsetErrorVerbosity($0, PQERRORS_VERBOSE) }
        var poll = PGRES_POLLING_WRITING
        var stage = ConnectFailure.Stage.network
        while true {
            let status = unsafe handle.with { unsafe PQstatus($0) } ?? CONNECTION_BAD
            if status == CONNECTION_BAD { return .failure(.refused(handle.wholeErrorMessage, stage)) }
            stage = ConnectFailure.Stage(status)
            handle.watch(for: poll == PGRES_POLLING_READING ? .read : .write, watcher)
            let wake = await sleep(until: due)
            // The next poll may close this socket and open another, even with the same descriptor.
            handle.unwatch()
            switch wake {
            case .canceled: return .failure(.canceled)
            case .timeUp: return .failure(.timedOut)
            case .ready: break
            }
            poll = unsafe handle.with { unsafe PQconnectPoll($0) } ?? PGRES_POLLING_FAILED
            if poll == PGRES_POLLING_OK { return begin(handle) }
            if poll == PGRES_POLLING_FAILED {
                let needsPassword = unsafe handle.with { unsafe PQconnectionNeedsPassword($0) } == 1
                return .failure(.refused(handle.wholeErrorMessage, needsPassword ? .password : stage))
            }
        }
    }

    private func begin(_ handle: Handle) -> Result<Handle, Failure> {
        let isReady = unsafe handle.with { pointer in
            unsafe PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT)
            return unsafe PQsetnonblocking(pointer, 1) == 0 && PQenterPipelineMode(pointer) == 1
        }
        return isReady == true ? .success(handle) : .failure(.refused(handle.wholeErrorMessage, .login))
    }

    private func start(_ values: [String: String]) -> Handle? {
        guard let pointer = unsafe startConnecting(values) else { return nil }
        return unsafe Handle(owning: pointer, on: loop)
    }

    // MARK: Waiting

    private func sleep(until due: Instant) async -> Wake {
        if isCanceled || Task.isCancelled { return .canceled }
        return await withCheckedContinuation { continuation in
            sleeper = continuation
            timer = loop.schedule(at: due) { [weak self] in self?.assumeIsolated { $0.wake(.timeUp) } }
        }
    }

    private func wake(_ wake: Wake) {
        guard let sleeper else { return }
        self.sleeper = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        sleeper.resume(returning: wake)
    }

    private func cancel() {
        isCanceled = true
        wake(.canceled)
    }
}

extension ConnectFailure.Stage {
    /// The stage that libpq had reached.
    init(_ status: ConnStatusType) {
        switch status {
        case CONNECTION_SSL_STARTUP, CONNECTION_GSS_STARTUP: self = .tls
        case CONNECTION_MADE, CONNECTION_AWAITING_RESPONSE, CONNECTION_AUTH_OK: self = .login
        case CONNECTION_CHECK_WRITABLE, CONNECTION_CHECK_STANDBY, CONNECTION_CHECK_TARGET, CONNECTION_CONSUME:
            self = .attributes
        default: self = .network
        }
    }
}

/// libpq's `connect_timeout` in whole seconds. Nil for 0, a negative or an invalid value; 1 counts as 2.
func connectTimeout(_ value: String?) -> Instant.Duration? {
    guard let value, let seconds = Int64(value), seconds > 0 else { return nil }
    return .seconds(max(2, seconds))
}

/// `text` without `password`.
func redact(_ text: String, _ password: String?) -> String {
    guard let password, !password.isEmpty else { return text }
    return text.replacing(password, with: "****")
}

extension ConnectionSettings {
    var tcpValues: [String: String] {
        [
            "keepalives_idle": String(keepalives.idle),
            "keepalives_interval": String(keepalives.interval),
            "keepalives_count": String(keepalives.count),
            "tcp_user_timeout": String(tcpUserTimeout.millisecondsRoundedUp),
        ]
    }
}
