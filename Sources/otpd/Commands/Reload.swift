internal import Callbacks
internal import Logging
internal import OTP
internal import Runtime
internal import Twilio
internal import Worker

/// Handles SIGHUP: reads the settings' files again. The environment variables stay those of the start, because the
/// environment of a process does not change.
///
/// otpd uses new credentials of Twilio without a restart, for requests and for the signatures of callbacks. It also
/// probes a pause at once, because the operator may have removed its cause. Any other change in a file needs a restart,
/// and the log says so. If any setting is invalid, otpd logs every problem and keeps the old values.
struct Reload: Sendable {
    private let started: Settings
    private let environment: [String: String]
    /// The credentials that requests carry now.
    private var login: TwilioSettings.Login
    /// The token that callbacks are checked with now.
    private var authToken: Secret?

    init(_ settings: Settings, environment: [String: String]) {
        started = settings
        self.environment = environment
        login = settings.twilio.login
        authToken = settings.twilio.authToken
    }

    /// Reads and applies the settings. It notifies systemd at its begin and end.
    mutating func run(_ worker: Worker, _ receiver: CallbackReceiver?, _ log: Logger, _ systemd: Systemd) async {
        systemd.reloading()
        switch await Self.read(environment) {
        case .success(let settings):
            await apply(settings, to: worker, receiver, log)
            await worker.probeNow()
        case .failure(let problems): problems.report(to: log)
        }
        systemd.reloaded()
    }

    private mutating func apply(
        _ settings: Settings, to worker: Worker, _ receiver: CallbackReceiver?, _ log: Logger
    ) async {
        let late = Self.takesRestart(from: started, to: settings)
        for name in late { log.warning("\(name.rawValue) has changed: restart otpd to use the new value") }
        var isSame = late.isEmpty
        if let receiver, let token = settings.twilio.authToken, token != authToken {
            isSame = false
            await receiver.use(authToken: token)
            authToken = token
        }
        guard settings.twilio.login != login else {
            if isSame { log.notice("reloaded the settings: no file has changed") }
            return
        }
        do {
            try await worker.use(settings.twilio.credentials())
            login = settings.twilio.login
            log.notice("reloaded Twilio's credentials: all further requests use them")
        } catch {
            log.error(
                "cannot use the new Twilio credentials: the old ones stay in use",
                metadata: [LogKeys.error: "\(error)"])
        }
    }

    /// The settings that have changed in files and that need a restart.
    static func takesRestart(from old: Settings, to new: Settings) -> [SettingName] {
        var names: [SettingName] = []
        if old.database != new.database { names.append(.databaseURL) }
        if old.secrets.current != new.secrets.current { names.append(.secret) }
        if old.secrets.previous != new.secrets.previous { names.append(.secretPrevious) }
        if old.traces?.headers != new.traces?.headers { names.append(.otlpHeaders) }
        return names
    }

    /// Reads off the loop, because a file may be on a disk that does not answer.
    private static func read(_ environment: [String: String]) async -> Result<Settings, SettingsProblems> {
        await withTaskExecutorPreference(globalConcurrentExecutor) { await readNow(environment) }
    }

    @concurrent private static func readNow(
        _ environment: [String: String]
    ) async -> Result<Settings, SettingsProblems> {
        Settings.worker(environment: environment, readFile: SmallFile.read)
    }
}

/// Handles SIGHUP of `otpd callbacks`. Only the auth token can change without a restart.
struct ReceiverReload: Sendable {
    private let environment: [String: String]
    private var authToken: Secret

    init(_ settings: Settings.Receiver, environment: [String: String]) {
        self.environment = environment
        authToken = settings.authToken
    }

    mutating func run(_ receiver: CallbackReceiver, _ log: Logger, _ systemd: Systemd) async {
        systemd.reloading()
        switch await Self.read(environment) {
        case .success(let settings) where settings.authToken != authToken:
            await receiver.use(authToken: settings.authToken)
            authToken = settings.authToken
        case .success: log.notice("reloaded the settings: TWILIO_AUTH_TOKEN has not changed")
        case .failure(let problems): problems.report(to: log)
        }
        systemd.reloaded()
    }

    /// Reads off the loop, because a file may be on a disk that does not answer.
    private static func read(_ environment: [String: String]) async -> Result<Settings.Receiver, SettingsProblems> {
        await withTaskExecutorPreference(globalConcurrentExecutor) { await readNow(environment) }
    }

    @concurrent private static func readNow(
        _ environment: [String: String]
    ) async -> Result<Settings.Receiver, SettingsProblems> {
        Settings.receiver(environment: environment, readFile: SmallFile.read)
    }
}

extension SettingsProblems {
    fileprivate func report(to log: Logger) {
        for line in lines {
            log.error(
                "cannot reload the settings: the old ones stay in use",
                metadata: [LogKeys.error: "\(line)", LogKeys.remedy: "Correct it, then run systemctl reload otpd."])
        }
    }
}
