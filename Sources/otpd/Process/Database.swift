internal import EventLoop
internal import OTP
internal import Postgres
internal import Queue

/// How commands reach the database, and how they say that it refused.
enum Database {
    /// The time a command gives the database to answer.
    static let timeout = Instant.Duration.seconds(10)

    /// Connection settings for `database`; sessions that seal or verify codes carry the secrets.
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
            throw failure("Cannot reach the database", error)
        }
        do {
            try await SessionSettings.begin(on: connection, deadline: .now() + timeout)
        } catch {
            await connection.close()
            throw failure("Cannot reach the database", error)
        }
        return connection
    }

    /// Runs `body` with a connection that is closed afterwards; errors become failures with `what` in front.
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

    /// A failure with the exit code that fits: unreachable, refused by privileges, bad input, or our own mistake.
    /// `role` is the one whose members may do it.
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
                    remedy: "Connect as a member of \(role ?? ""), or: GRANT \(role ?? "") TO the role that connects")
            case "OT003":
                Failure(.configuration, what, because: refusal.message, remedy: refusal.hint)
            case "42501", "28000", "28P01":
                Failure(
                    .refused, what, because: refusal.message,
                    remedy: "Connect as a role that may: the schema's owner")
            case "3F000", "42P01", "42883":
                Failure(.configuration, what, because: refusal.message, remedy: "Run: otpd migrate up")
            case let state where state.hasPrefix("OT"):
                Failure(.invalidInput, what, because: refusal.message, remedy: refusal.hint)
            case let state where state.hasPrefix("22"):
                // Not its message: those of this class quote the value.
                Failure(
                    .invalidInput, what, because: "a value is not one that PostgreSQL can take (\(state))",
                    remedy: "Look for characters that are no text, such as NUL, in what was given")
            default: Failure(.unavailable, what, because: "\(refusal)")
            }
        }
    }

    private static func text(_ secret: Secret) -> String {
        secret.withBytes { bytes in String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self) }
    }
}
