import EventLoop
import Postgres
import Testing

/// Runs `body` as a task of its own loop, with connections to the server of the PG* environment.
func onLoop<T: Sendable>(_ body: @escaping @Sendable (EventLoop) async throws -> T) async throws -> T {
    let loop = try EventLoop.start()
    let outcome = await Task(executorPreference: loop) { () async -> Result<T, any Error> in
        do { return .success(try await body(loop)) } catch { return .failure(error) }
    }.value
    loop.stop()
    return try outcome.get()
}

/// Runs `body` with one open connection, and closes it.
func withConnection<T: Sendable>(
    _ settings: ConnectionSettings = ConnectionSettings(applicationName: "otpd-test"),
    _ body: @escaping @Sendable (Connection) async throws -> T
) async throws -> T {
    try await onLoop { loop in
        let connection = try await Connection.open(settings, on: loop, deadline: soon)
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }
}

/// Long enough for a busy machine, and short enough for a test that hangs.
var soon: Instant { .now() + .seconds(120) }

extension Parameters {
    /// Parameters written by `body`.
    static func of(_ body: (inout Parameters) -> Void) -> Parameters {
        var parameters = Parameters()
        body(&parameters)
        return parameters
    }
}
