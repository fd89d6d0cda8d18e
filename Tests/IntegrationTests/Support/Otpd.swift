import TestSupport

/// `otpd` as a process, in the current test's database.
enum Otpd {
    /// The log line that shows that it listens for jobs.
    static let isConnected = "listening for jobs"

    /// Settings that work, with the simulator as Twilio.
    static func environment(_ simulator: String, _ changes: [String: String?] = [:]) throws -> [String: String] {
        var environment = try databaseEnvironment()
        environment["OTPD_SECRET"] = TestDatabase.secret
        environment["OTPD_APP_NAME"] = "Mgask"
        environment["OTPD_LOG_LEVEL"] = "debug"
        environment["TWILIO_ACCOUNT_SID"] = Simulator.accountSID
        environment["TWILIO_AUTH_TOKEN"] = Simulator.authToken
        environment["TWILIO_PHONE_NUMBER"] = "+15005550006"
        environment["TWILIO_API_BASE_URL"] = simulator
        for (name, value) in changes { environment[name] = value }
        return environment
    }

    /// The settings of the database alone.
    static func databaseEnvironment() throws -> [String: String] {
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        var environment = Environment.base
        environment["PGDATABASE"] = scope.database.name
        return environment
    }

    /// Starts `otpd run`. Returns when it listens for jobs, unless told not to wait.
    @discardableResult
    static func run(
        _ simulator: Simulator, _ changes: [String: String?] = [:], awaitsConnection: Bool = true
    ) async throws -> Program {
        try await run(at: simulator.url, changes, awaitsConnection: awaitsConnection)
    }

    @discardableResult
    static func run(
        at url: String, _ changes: [String: String?] = [:], awaitsConnection: Bool = true
    ) async throws -> Program {
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        let program = try scope.start(
            BuildFolder.executable("otpd"), ["run"], environment: environment(url, changes))
        if awaitsConnection { try await program.says(isConnected, within: .seconds(40)) }
        return program
    }

    struct Answer: Sendable {
        let code: Int32
        let output: String
        let errors: String
    }

    /// Runs a command of otpd's to its end. `environment` is the database's by default.
    static func command(
        _ arguments: [String], environment: [String: String]? = nil, input: String? = nil
    ) async throws -> Answer {
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        let program = try scope.start(
            BuildFolder.executable("otpd"), arguments, environment: environment ?? databaseEnvironment(), input: input)
        let code = try await program.exit(within: .seconds(60))
        return Answer(code: code, output: program.output, errors: program.errors)
    }
}

/// psql as a backend's session: with the secret, in the current test's database.
enum Psql {
    static func run(_ sql: String, secret: String = TestDatabase.secret) async throws -> Otpd.Answer {
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        var environment = try Otpd.databaseEnvironment()
        environment["PGOPTIONS"] = "-c otp.secret=\(secret)"
        environment["PGCLIENTENCODING"] = "UTF8"
        let program = try scope.start(
            "psql", ["-qXAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"], environment: environment, input: sql)
        let code = try await program.exit(within: .seconds(30))
        return Otpd.Answer(code: code, output: program.output, errors: program.errors)
    }

    /// The same, from a file of the repository.
    static func file(_ path: String) async throws -> Otpd.Answer {
        try await run("BEGIN;\n" + Repository.read(path) + "\nCOMMIT;\n")
    }
}
