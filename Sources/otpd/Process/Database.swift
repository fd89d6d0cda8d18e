internal import EventLoop
internal import OTP
internal import Postgres
internal import Queue

/// Opens connections for commands, and turns errors of the database into failures.
enum Database {
    /// How long a command waits for the database's answer.
    static let timeout = Instant.Duration.seconds(10)

    /// Connection settings for `database`. Pass `secrets` for sessions that seal or verify codes.
    static func settings(_ database: DatabaseSettings, secrets: CodeSecrets? = nil) -> ConnectionSettings {
        var settings = ConnectionSettings(database.connection.map(text) ?? "", applicationName: "otpd")
        if let secrets {
            settings.sessionOptions.append((name: "otp.secret", value: text(secrets.current)))
            if let previous = secrets.previous {
                settings.sessionOptions.append((name: "otp.secret_previous", value: text(previous)))
            }
        }
        return settings
    }

    /// Opens one connection.
    static func open(_ settings: ConnectionSettings, on loop: EventLoop) async throws(Failure) -> Connection {
        let connection: Connection
        do {
            connection = try await Connection.open(settings, on: loop, deadline: .now() + timeout)
        } catch {
            throw failure("cannot reach the database", error)
        }
        do {
            try await SessionSettings.begin(on: connection, deadline: .now() + timeout)
        } catch {
            await connection.close()
            throw failure("cannot reach the database", error)
        }
        return connection
    }

    /// Runs `body` with a connection that is closed afterwards. An error becomes a failure that begins with `what`.
    static func with<Value: Sendable>(
        _ settings: ConnectionSettings, on loop: EventLoop, _ what: String, needs role: String? = nil,
        _ body: (Connection) async throws(PostgresError) -> Value
    ) async throws(Failure) -> Value {
        let connection = try await open(settings, on: loop)
        let result: Result<Value, PostgresError>
        do throws(PostgresError) { result = .success(try await body(connection)) } catch { result = .failure(error) }
        await connection.close()
        do { return try result.get() } catch { throw failure(what, error, needs: role) }
    }

    /// A failure with the exit code for the error: unreachable, refused by privileges, bad input, or an error in otpd.
    /// Members of `role` have the privileges for the command.
    static func failure(_ what: String, _ error: PostgresError, needs role: String? = nil) -> Failure {
        switch error {
        case .settings, .unsuitable: Failure(.configuration, what, because: "\(error)")
        case .connect(let attempts):
            switch attempts.cause {
            case .password, .login, .privilege: Failure(.refused, what, because: "\(error)")
            case .database, .closed, .option, .pooler: Failure(.configuration, what, because: "\(error)")
            case .proxy, .tls, .attributes, .full, .notReady, .server, .network:
                Failure(.unavailable, what, because: "\(error)")
            }
        case .lost, .deadline, .canceled: Failure(.unavailable, what, because: "\(error)")
        case .misuse: Failure(.internalError, what, because: "\(error)")
        case .server(let refusal):
            switch refusal.sqlstate {
            case "42501" where role != nil:
                Failure(
                    .refused, what, because: refusal.message,
                    remedy: "Connect as a member of \(role ?? ""). Or grant it to the role that you connect as: "
                        + "GRANT \(role ?? "") TO ROLE;")
            case "OT003":
                Failure(.configuration, what, because: refusal.message, remedy: refusal.hint)
            case "42501", "28000", "28P01":
                Failure(
                    .refused, what, because: refusal.message,
                    remedy: "Connect as the owner of the schema otp")
            case "3F000", "42P01", "42883":
                Failure(
                    .configuration, what, because: refusal.message,
                    remedy: "Create or update the schema as its owner: otpd migrate up")
            case let state where state.hasPrefix("OT"):
                Failure(.invalidInput, what, because: refusal.message, remedy: refusal.hint)
            case let state where state.hasPrefix("22"):
                // Messages of this class quote the value, so this one is left out.
                Failure(
                    .invalidInput, what, because: "PostgreSQL cannot store one of the values (SQLSTATE \(state))",
                    remedy: "Remove characters that are no text, such as NUL, from your input")
            default: Failure(.unavailable, what, because: "\(refusal)")
            }
        }
    }

    private static func text(_ secret: Secret) -> String {
        secret.withBytes { bytes in String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self) }
    }
}
