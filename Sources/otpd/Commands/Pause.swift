internal import ArgumentParser
internal import EventLoop
internal import OTP
internal import Postgres
internal import Queue

/// `otpd pause`: holds back a country, a prefix or everything, by hand; alone it lists what is held back.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Pause everything, a country or a prefix; without options, list the pauses.",
        discussion: """
            Workers take it up within a second. Jobs wait; they go when it ends (otpd resume), or expire with their code.
              otpd pause --country SA --reason "the gateway is being moved"
            A pause made by hand ends by hand; those that otpd makes by itself are probed and end by themselves.
            """)

    @OptionGroup var scopes: PauseScopes

    @Option(help: "Why, for those who see the pause.")
    var reason: String?

    @OptionGroup var options: TableOptions

    func validate() throws {
        let scope = try scopes.scope()
        if scope != nil, reason?.allSatisfy(\.isWhitespace) ?? true {
            throw ValidationError("Give the reason: --reason \"…\". Everybody who sees the pause will ask.")
        }
        if let reason, reason.unicodeScalars.count > 500 {
            throw ValidationError("The reason is longer than 500 characters.")
        }
        if scope == nil, reason != nil {
            throw ValidationError("Say what to pause: --all, --country SA or --prefix +96650.")
        }
    }

    func run() throws {
        let settings = Database.settings(try CommandSettings.database())
        let (scope, reason) = (try scopes.scope(), reason ?? "")
        let pauses = try onLoop { loop in
            try await Database.with(
                settings, on: loop, scope == nil ? "Cannot read the pauses" : "Nothing was paused",
                needs: scope == nil ? "otp_monitor" : "otp_admin"
            ) { connection throws(PostgresError) in
                if let scope {
                    try await PauseByHand.run(
                        on: connection, scope, reason: reason, deadline: .now() + Database.timeout)
                }
                return try await ReadPauses.run(on: connection, deadline: .now() + Database.timeout)
            }
        }
        if pauses.rows.isEmpty, !options.json { return Output.write("Nothing is paused.\n") }
        options.print(Table(pauses))
    }
}

/// `otpd resume`: ends a pause of everything, of a country or of a prefix, whoever began it.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "End a pause of everything, of a country or of a prefix.",
        discussion: """
            The jobs that it held are due at once. --all ends the pause of everything, and no other. A worker's own pause \
            (wrong credentials, an outage) ends by itself once its cause is gone.
              otpd resume --country SA
            """)

    @OptionGroup var scopes: PauseScopes
    @OptionGroup var options: TableOptions

    func validate() throws {
        guard try scopes.scope() != nil else {
            throw ValidationError("Say what to resume: --all, --country SA or --prefix +96650. otpd pause lists them.")
        }
    }

    func run() throws {
        guard let scope = try scopes.scope() else { return }
        let settings = Database.settings(try CommandSettings.database())
        let (wasPaused, pauses) = try onLoop { loop in
            try await Database.with(settings, on: loop, "Nothing was resumed", needs: "otp_admin") {
                connection throws(PostgresError) in
                let wasPaused = try await ResumeByHand.run(
                    on: connection, scope, deadline: .now() + Database.timeout)
                return (wasPaused, try await ReadPauses.run(on: connection, deadline: .now() + Database.timeout))
            }
        }
        guard wasPaused else {
            throw Failure(
                .invalidInput, "Nothing was resumed", because: "there is no pause of that name: \(scope.name)",
                remedy: "See what is paused: otpd pause")
        }
        if pauses.rows.isEmpty, !options.json { return Output.write("Resumed: \(scope.name). Nothing is paused.\n") }
        options.print(Table(pauses))
    }
}

/// What is paused or resumed: at most one.
struct PauseScopes: ParsableArguments {
    @Flag(help: "Everything.")
    var all = false

    @Option(help: "A country's numbers, as in otp.countries: SA.")
    var country: String?

    @Option(help: "The numbers that begin so, in E.164: +96650. At most 11 digits.")
    var prefix: String?

    /// Nil when none was given.
    func scope() throws -> PauseScope? {
        let given = [all ? ("all", "") : nil, country.map { ("country", $0) }, prefix.map { ("prefix", $0) }]
            .compactMap { $0 }
        guard given.count <= 1 else { throw ValidationError("Give one of --all, --country and --prefix.") }
        guard let (name, key) = given.first else { return nil }
        guard let scope = PauseScope(scope: name, key: name == "country" ? key.uppercased() : key) else {
            throw ValidationError(
                name == "country"
                    ? "--country wants the two letters of ISO 3166, such as SA (001: numbers of no country)."
                    : "--prefix wants a plus and 1 to \(NumberPrefix.longest) digits with the country code, such as "
                        + "+96650. Longer ones could be whole numbers, which belong in no argument.")
        }
        return scope
    }
}
