internal import ArgumentParser
internal import EventLoop
internal import OTP
internal import Postgres
internal import Queue

/// `otpd pause`: pauses a channel, a country, a prefix or everything by hand. Without options it lists the pauses.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Pause everything, a channel, a country or a prefix. Without options, list the pauses.",
        discussion: """
              otpd pause --country SA --reason "the gateway is being moved"

            Workers hold the jobs within a second. The jobs wait until the pause ends, or until their codes expire. \
            A pause that you made ends with otpd resume. otpd sends probes during its own pauses, and ends them when a \
            probe succeeds.
            """)

    @OptionGroup var scopes: PauseScopes

    @Option(help: "The reason, which everyone sees together with the pause.")
    var reason: String?

    @OptionGroup var options: TableOptions

    func validate() throws {
        let scope = try scopes.scope()
        if scope != nil, reason?.allSatisfy(\.isWhitespace) ?? true {
            throw ValidationError("A pause needs a reason. Add: --reason \"…\"")
        }
        if let reason, reason.unicodeScalars.count > 500 {
            throw ValidationError("The reason is longer than 500 characters. Shorten it.")
        }
        if scope == nil, reason != nil {
            throw ValidationError(
                "A pause needs a scope. Add one of: --all, --channel call, --country SA, --prefix +96650.")
        }
    }

    func run() throws {
        let settings = Database.settings(try CommandSettings.database())
        let (scope, reason) = (try scopes.scope(), reason ?? "")
        let pauses = try onLoop { loop in
            try await Database.with(
                settings, on: loop, scope == nil ? "cannot read the pauses" : "nothing was paused",
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

/// `otpd resume`: ends a pause of everything, of a channel, of a country or of a prefix, whether a person or otpd began it.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "End a pause of everything, of a channel, of a country or of a prefix.",
        discussion: """
              otpd resume --country SA

            The held jobs are due at once. --all ends only the pause of everything. A worker's own pause, such as for \
            wrong credentials or an outage, ends by itself when its cause is gone.
            """)

    @OptionGroup var scopes: PauseScopes
    @OptionGroup var options: TableOptions

    func validate() throws {
        guard try scopes.scope() != nil else {
            throw ValidationError(
                "Name the pause to end: --all, --channel call, --country SA or --prefix +96650. List the pauses: otpd pause"
            )
        }
    }

    func run() throws {
        guard let scope = try scopes.scope() else { return }
        let settings = Database.settings(try CommandSettings.database())
        let (wasPaused, pauses) = try onLoop { loop in
            try await Database.with(settings, on: loop, "nothing was resumed", needs: "otp_admin") {
                connection throws(PostgresError) in
                let wasPaused = try await ResumeByHand.run(
                    on: connection, scope, deadline: .now() + Database.timeout)
                return (wasPaused, try await ReadPauses.run(on: connection, deadline: .now() + Database.timeout))
            }
        }
        guard wasPaused else {
            throw Failure(
                .invalidInput, "nothing was resumed", because: "\(scope.name) is not paused",
                remedy: "List the pauses: otpd pause")
        }
        if pauses.rows.isEmpty, !options.json { return Output.write("Resumed: \(scope.name). Nothing is paused.\n") }
        options.print(Table(pauses))
    }
}

/// The scope of a pause on the command line: at most one.
struct PauseScopes: ParsableArguments {
    @Flag(help: "Everything.")
    var all = false

    @Option(help: "Everything that goes by sms, whatsapp, call or email.")
    var channel: String?

    @Option(help: "The phone numbers of a country, as in otp.countries, such as SA.")
    var country: String?

    @Option(help: "The phone numbers that begin with these digits, such as +96650. At most 11 digits.")
    var prefix: String?

    /// The scope, or nil when the command line has none.
    func scope() throws -> PauseScope? {
        let given = [
            all ? ("all", "") : nil, channel.map { ("channel", $0) }, country.map { ("country", $0) },
            prefix.map { ("prefix", $0) },
        ].compactMap { $0 }
        guard given.count <= 1 else {
            throw ValidationError("Use only one of --all, --channel, --country and --prefix.")
        }
        guard let (name, key) = given.first else { return nil }
        guard let scope = PauseScope(scope: name, key: name == "country" ? key.uppercased() : key) else {
            throw ValidationError(
                name == "channel"
                    ? "--channel takes sms, whatsapp, call or email."
                    : name == "country"
                        ? "--country takes the two letters of a country (ISO 3166), such as SA. "
                            + "For numbers of no country, use 001."
                        : "--prefix takes a plus and 1 to \(NumberPrefix.longest) digits with the country code, such as "
                            + "+96650. A longer prefix could be a whole phone number, which no argument may hold.")
        }
        return scope
    }
}
