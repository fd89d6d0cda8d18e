internal import HTTPServer
internal import OTP

/// All settings of the worker (`otpd run`), and the parts that other commands need.
///
/// Reading is pure: the environment and the reader of files are given. Each command reads only what it needs, so that
/// `otpd migrate` runs where no Twilio credential is; but what it reads is checked in full, and all problems are
/// reported at once. See `SettingsReader` for where a value may come from and which source wins.
struct Settings: Equatable, Sendable {
    let database: DatabaseSettings
    let log: LogSettings
    let secrets: CodeSecrets
    let twilio: TwilioSettings
    /// Fills `{app}` in templates.
    let appName: String
    let sending: SendingSettings
    /// Nil when neither of the callbacks' variables is set: final states then come from polling alone.
    let callbacks: CallbackSettings?
    /// Nil when no address is set for it: then `run` serves no dashboard.
    let dashboard: DashboardSettings?
    /// Certificates to trust for Twilio, a PEM file; nil for the system's.
    let caFile: String?
    /// Lines to log at start: names that look misspelt, settings that are of no use.
    let warnings: [String]

    /// What `migrate`, `status` and the other commands need that touch the database alone.
    struct DatabaseOnly: Equatable, Sendable {
        let database: DatabaseSettings
        let warnings: [String]
    }

    /// What `enqueue` needs: it acts as a web tier does, whose sessions carry the secret.
    struct WebTier: Equatable, Sendable {
        let database: DatabaseSettings
        let secrets: CodeSecrets
        let warnings: [String]
    }

    /// What `callbacks` needs: the receiver alone, which sends nothing and reads no code.
    struct Receiver: Equatable, Sendable {
        let database: DatabaseSettings
        let log: LogSettings
        let authToken: Secret
        let publicURL: WebAddress
        let listen: ListenAddress
        let warnings: [String]
    }

    /// What `dashboard` needs: the page alone, which reads the database.
    struct DashboardOnly: Equatable, Sendable {
        let database: DatabaseSettings
        let log: LogSettings
        let dashboard: DashboardSettings
        let warnings: [String]
    }

    /// What could be read of the worker's settings, each part by itself: nil where something of it is wrong or missing.
    struct Parts: Sendable {
        var database: DatabaseSettings?
        var log = LogSettings.standard
        var secrets: CodeSecrets?
        var twilio: TwilioSettings?
        var appName: String?
        var sending: SendingSettings?
        var callbacks: CallbackSettings?
        var dashboard: DashboardSettings?
        var caFile: String?
        /// Every problem, a line each; empty when all is right.
        var problems: [String] = []
        var warnings: [String] = []
    }

    /// Reads everything. `readFile` throws a `FileError` to tell a missing file from another failure.
    static func worker(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<Settings, SettingsProblems> {
        let parts = parts(environment: environment, readFile: readFile)
        guard parts.problems.isEmpty, let database = parts.database, let secrets = parts.secrets,
            let twilio = parts.twilio, let appName = parts.appName, let sending = parts.sending
        else {
            precondition(!parts.problems.isEmpty, "settings came out incomplete with nothing reported")
            return .failure(SettingsProblems(lines: parts.problems))
        }
        return .success(
            Settings(
                database: database, log: parts.log, secrets: secrets, twilio: twilio, appName: appName,
                sending: sending, callbacks: parts.callbacks, dashboard: parts.dashboard, caFile: parts.caFile,
                warnings: parts.warnings))
    }

    /// The same, for whoever goes on without what is wrong.
    static func parts(environment: [String: String], readFile: @escaping (String) throws -> [UInt8]) -> Parts {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        var parts = Parts()
        let database = DatabaseSettings.read(&reader)
        // A broken address must not pass for the one that libpq would choose.
        parts.database = reader.problems.isEmpty ? database : nil
        parts.log = LogSettings.read(&reader)
        parts.secrets = CodeSecrets.read(&reader)
        let (twilio, hasKeyOnly) = TwilioSettings.read(&reader)
        parts.twilio = twilio
        parts.appName = readAppName(&reader)
        parts.sending = SendingSettings.read(&reader)
        parts.callbacks = CallbackSettings.read(&reader, hasKeyOnly: hasKeyOnly)
        parts.dashboard = DashboardSettings.read(&reader)
        // The token passes browsers and scrapers.
        if let token = parts.dashboard?.token, [parts.secrets?.current, parts.secrets?.previous].contains(token) {
            reader.report(
                .dashboardToken, "is the same as a secret that seals codes; make another one with: openssl rand -hex 32"
            )
        }
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

    static func webTier(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<WebTier, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let database = DatabaseSettings.read(&reader)
        checkLog(&reader)
        let secrets = CodeSecrets.read(&reader)
        reader.warnOfUnknownNames()
        guard let secrets else { return reader.result(nil) }
        return reader.result(WebTier(database: database, secrets: secrets, warnings: reader.warnings))
    }

    static func receiver(
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8]
    ) -> Result<Receiver, SettingsProblems> {
        var reader = SettingsReader(environment: environment, readFile: readFile)
        let database = DatabaseSettings.read(&reader)
        let log = LogSettings.read(&reader)
        let authToken = TwilioSettings.readAuthToken(&reader)
        let callbacks = CallbackSettings.readReceiver(&reader)
        reader.warnOfUnknownNames()
        guard let authToken, let callbacks else { return reader.result(nil) }
        return reader.result(
            Receiver(
                database: database, log: log, authToken: authToken, publicURL: callbacks.publicURL,
                listen: callbacks.listen, warnings: reader.warnings))
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

    /// Commands write no log; that its settings are right is checked all the same, so that a slip shows before a start.
    private static func checkLog(_ reader: inout SettingsReader) { _ = LogSettings.read(&reader) }

    private static func readAppName(_ reader: inout SettingsReader) -> String? {
        switch reader.find(.appName) {
        case .absent:
            reader.report(.appName, "is not set; set the name that users know your service by, it fills {app} in texts")
            return nil
        case .broken: return nil
        case .value(let name):
            guard name.count <= 64 else {
                reader.report(
                    .appName, "has \(name.count) characters; use 64 at most, it is part of every text message")
                return nil
            }
            guard !name.contains("{"), !name.contains("}") else {
                reader.report(.appName, "contains { or }, which mark placeholders in templates; remove them")
                return nil
            }
            return name
        }
    }

    /// A CA file without a certificate would make every connection fail, with a message about everything but the file.
    private static func certificates(_ bytes: [UInt8]) throws(InvalidValue) {
        guard bytes.firstRange(of: Array("-----BEGIN CERTIFICATE-----".utf8)) != nil else {
            throw InvalidValue(
                "names a file without a PEM certificate in it; give one with -----BEGIN CERTIFICATE-----")
        }
    }
}
