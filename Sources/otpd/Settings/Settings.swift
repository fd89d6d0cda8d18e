internal import HTTPServer
internal import OTP

/// All settings of the worker (`otpd run`), and the parts that other commands need.
///  Reading is pure: the environment and the reader of files are parameters. Each command reads only the settings that
/// it needs, so that `otpd migrate` runs without Twilio's credentials. Every setting that it reads is checked, and all
/// problems are reported at once. `SettingsReader` says where a value may come from.
struct Settings: Equatable, Sendable {
    let database: DatabaseSettings
    let log: LogSettings
    let secrets: CodeSecrets
    let twilio: TwilioSettings
    /// Fills `{app}` in templates.
    let appName: String
    let sending: SendingSettings
    /// Nil if codes do not go by e-mail.
    let mail: MailSettings?
    /// Nil when neither variable for callbacks is set. Then otpd polls every message.
    let callbacks: CallbackSettings?
    /// Nil when no address is set for it. Then `run` serves no dashboard.
    let dashboard: DashboardSettings?
    /// Nil if traces are off.
    let traces: TraceSettings?
    /// A PEM file with the certificates to trust for Twilio. Nil for the system's certificates.
    let caFile: String?
    /// Lines to log at start: names that look misspelt, and settings without effect.
    let warnings: [String]

    /// The settings of `migrate`, `status` and the other commands that need only the database.
    struct DatabaseOnly: Equatable, Sendable {
        let database: DatabaseSettings
        let warnings: [String]
    }

    /// The settings of `enqueue` and `verify`, which act as a backend does. A backend's sessions carry the secret.
    struct Backend: Equatable, Sendable {
        let database: DatabaseSettings
        let secrets: CodeSecrets
        let warnings: [String]
    }

    /// The settings of `callbacks`, which sends nothing and reads no code.
    struct Receiver: Equatable, Sendable {
        let database: DatabaseSettings
        let log: LogSettings
        let authToken: Secret
        let publicURL: WebAddress
        let listen: ListenAddress
        let traces: TraceSettings?
        let warnings: [String]
    }

    /// The settings of `dashboard`.
    struct DashboardOnly: Equatable, Sendable {
        let database: DatabaseSettings
        let log: LogSettings
        let dashboard: DashboardSettings
        let warnings: [String]
    }

    /// The worker's settings, each part by itself. A part is nil where one of its settings is wrong or missing.
    struct Parts: Sendable {
        var database: DatabaseSettings?
        var log = LogSettings.standard
        var secrets: CodeSecrets?
        var twilio: TwilioSettings?
        var appName: String?
        var sending: SendingSettings?
        var mail: MailSettings?
        var callbacks: CallbackSettings?
        var dashboard: DashboardSettings?
        var traces: TraceSettings?
        var caFile: String?
        /// One line for each problem.
        var problems: [String] = []
        var warnings: [String] = []
    }

    /// Reads all settings of the worker. `readFile` throws a `FileError`, which tells a missing file from other
    /// failures.
    static func worker(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<Settings, SettingsProblems> {
        let parts = parts(environment: environment, readFile: readFile)
        guard parts.problems.isEmpty, let database = parts.database, let secrets = parts.secrets,
            let twilio = parts.twilio, let appName = parts.appName, let sending = parts.sending
        else {
            precondition(!parts.problems.isEmpty, "settings are incomplete, but no problem was reported")
            return .failure(SettingsProblems(lines: parts.problems))
        }
        return .success(
            Settings(
                database: database, log: parts.log, secrets: secrets, twilio: twilio, appName: appName,
                sending: sending, mail: parts.mail, callbacks: parts.callbacks, dashboard: parts.dashboard,
                traces: parts.traces, caFile: parts.caFile,
                warnings: parts.warnings))
    }

    /// Reads all settings of the worker, for callers that continue without the invalid ones.
    static func parts(environment: [String: String], readFile: @escaping (String) throws -> [UInt8]) -> Parts {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        var parts = Parts()
        let database = DatabaseSettings.read(&reader)
        // An invalid DATABASE_URL must not count as unset: then libpq's defaults would apply.
        parts.database = reader.problems.isEmpty ? database : nil
        parts.log = LogSettings.read(&reader)
        parts.secrets = CodeSecrets.read(&reader)
        let (twilio, hasKeyOnly) = TwilioSettings.read(&reader)
        parts.twilio = twilio
        parts.appName = readAppName(&reader)
        parts.sending = SendingSettings.read(&reader)
        parts.mail = MailSettings.read(&reader)
        parts.callbacks = CallbackSettings.read(&reader, hasKeyOnly: hasKeyOnly)
        parts.dashboard = DashboardSettings.read(&reader)
        // Browsers and scrapers know the token, so it must not be a secret of codes.
        if let token = parts.dashboard?.token, [parts.secrets?.current, parts.secrets?.previous].contains(token) {
            reader.report(
                .dashboardToken, "is the same as a secret that seals codes. Make another one: openssl rand -hex 32")
        }
        parts.traces = TraceSettings.read(&reader)
        parts.caFile = reader.readableFile(.caFile, certificates)
        reader.warnOfUnknownNames()
        parts.warnings = reader.warnings
        parts.problems = reader.lines
        return parts
    }

    static func database(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<DatabaseOnly, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let database = DatabaseSettings.read(&reader)
        checkLog(&reader)
        reader.warnOfUnknownNames()
        return reader.result(DatabaseOnly(database: database, warnings: reader.warnings))
    }

    static func backend(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<Backend, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let database = DatabaseSettings.read(&reader)
        checkLog(&reader)
        let secrets = CodeSecrets.read(&reader)
        reader.warnOfUnknownNames()
        guard let secrets else { return reader.result(nil) }
        return reader.result(Backend(database: database, secrets: secrets, warnings: reader.warnings))
    }

    static func receiver(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<Receiver, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let database = DatabaseSettings.read(&reader)
        let log = LogSettings.read(&reader)
        let authToken = TwilioSettings.readAuthToken(&reader)
        let callbacks = CallbackSettings.readReceiver(&reader)
        let traces = TraceSettings.read(&reader)
        reader.warnOfUnknownNames()
        guard let authToken, let callbacks else { return reader.result(nil) }
        return reader.result(
            Receiver(
                database: database, log: log, authToken: authToken, publicURL: callbacks.publicURL,
                listen: callbacks.listen, traces: traces, warnings: reader.warnings))
    }

    static func dashboard(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<DashboardOnly, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let database = DatabaseSettings.read(&reader)
        let log = LogSettings.read(&reader)
        let dashboard = DashboardSettings.read(&reader, default: DashboardSettings.standard)
        reader.warnOfUnknownNames()
        guard let dashboard else { return reader.result(nil) }
        return reader.result(
            DashboardOnly(database: database, log: log, dashboard: dashboard, warnings: reader.warnings))
    }

    /// The address that `probe` asks. It reads nothing else, so that no other setting can make a health check fail.
    static func probe(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<ListenAddress, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let found = reader.find(.dashboardListen)
        if found.isAbsent { return reader.result(DashboardSettings.standard) }
        let listen = found.value.flatMap {
            reader.parse($0, .dashboardListen) { (text: String) throws(InvalidValue) in try ListenAddress(text) }
        }
        return reader.result(listen)
    }

    /// Checks the log's settings, though short commands write no log. A mistake then shows before the daemon starts.
    private static func checkLog(_ reader: inout SettingsReader) { _ = LogSettings.read(&reader) }

    private static func readAppName(_ reader: inout SettingsReader) -> String? {
        switch reader.find(.appName) {
        case .absent:
            reader.report(
                .appName, "is not set. Set the name that users know your service by. It fills {app} in the texts.")
            return nil
        case .broken: return nil
        case .value(let name):
            guard name.count <= 64 else {
                reader.report(
                    .appName, "has \(name.count) characters. Use at most 64: the name is a part of every text.")
                return nil
            }
            guard !name.contains("{"), !name.contains("}") else {
                reader.report(.appName, "contains { or }, which mark placeholders in templates. Remove them.")
                return nil
            }
            return name
        }
    }

    /// Checks that a CA file holds a certificate. Without one every connection fails, and no message names the file.
    private static func certificates(_ bytes: [UInt8]) throws(InvalidValue) {
        guard bytes.firstRange(of: Array("-----BEGIN CERTIFICATE-----".utf8)) != nil else {
            throw InvalidValue(
                "names a file without a PEM certificate. Name a file with the line -----BEGIN CERTIFICATE-----")
        }
    }
}
