internal import Callbacks
internal import Logging
internal import OTP
internal import Runtime
internal import Twilio
internal import Worker

/// SIGHUP: reads again what the settings' files hold. The environment of a process does not change, so it is what it was
/// at the start.
///
/// Twilio's credentials are taken up without a restart, for requests and for callbacks' signatures, and a pause is probed at once: whoever has mended its cause says
/// so with this signal. What else is in files takes a restart, which is said. If anything is wrong, all of it is said and
/// nothing changes.
struct Reload: Sendable {
    private let started: Settings
    private let environment: [String: String]
    /// What requests are signed in with now.
    private var login: TwilioSettings.Login
    /// What callbacks are checked against now.
    private var authToken: Secret?

    init(_ settings: Settings, environment: [String: String]) {
        started = settings
        self.environment = environment
        login = settings.twilio.login
        authToken = settings.twilio.authToken
    }

    /// Reads and applies; systemd is told when it begins and ends.
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
        for name in late { log.warning("\(name.rawValue) has changed: restart otpd to use it") }
        var isSame = late.isEmpty
        if let receiver, let token = settings.twilio.authToken, token != authToken {
            isSame = false
            await receiver.use(authToken: token)
            authToken = token
        }
        guard settings.twilio.login != login else {
            if isSame { log.notice("settings were read anew: nothing in their files has changed") }
            return
        }
        do {
            try await worker.use(settings.twilio.credentials())
            login = settings.twilio.login
            log.notice("Twilio's credentials were read anew: every request from now on carries them")
        } catch {
            log.error(
                "Twilio's credentials can't be used, those of before stay in force",
                metadata: [LogKeys.error: "\(error)"])
        }
    }

    /// What has changed in files and is used only from a start on.
    static func takesRestart(from old: Settings, to new: Settings) -> [SettingName] {
        var names: [SettingName] = []
        if old.database != new.database { names.append(.databaseURL) }
        if old.secrets.current != new.secrets.current { names.append(.secret) }
        if old.secrets.previous != new.secrets.previous { names.append(.secretPrevious) }
        return names
    }

    /// Off the loop: a file may be on a disk that does not answer.
    private static func read(_ environment: [String: String]) async -> Result<Settings, SettingsProblems> {
        await withTaskExecutorPreference(globalConcurrentExecutor) { await readNow(environment) }
    }

    @concurrent private static func readNow(
        _ environment: [String: String]
    ) async -> Result<Settings, SettingsProblems> {
        Settings.worker(environment: environment, readFile: SmallFile.read)
    }
}

/// The same for the receiver alone: the auth token is all it takes up.
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
        case .success: log.notice("settings were read anew: TWILIO_AUTH_TOKEN has not changed")
        case .failure(let problems): problems.report(to: log)
        }
        systemd.reloaded()
    }

    /// Off the loop, as above.
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
                "settings can't be read anew, those of before stay in force",
                metadata: [LogKeys.error: "\(line)", LogKeys.remedy: "Correct it, then send SIGHUP again."])
        }
    }
}
