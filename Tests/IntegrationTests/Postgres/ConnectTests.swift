import EventLoop
import Glibc
import Postgres
import TestSupport
import Testing

/// The error of an attempt to connect.
private func failure(_ settings: ConnectionSettings, within span: Instant.Duration = .seconds(10)) async throws
    -> String
{
    try await onLoop { loop in
        do {
            let connection = try await Connection.open(settings, on: loop, deadline: .now() + span)
            await connection.close()
            return "connected"
        } catch {
            return "\(error)"
        }
    }
}

private func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }

@Suite("PostgreSQL: connecting", .timeLimit(.minutes(10)))
struct ConnectTests {
    @Test("a wrong password is said, and not repeated in the message")
    func wrongPassword() async throws {
        let error = try await failure(ConnectionSettings("password=Wr0ngSecret"))
        #expect(error.contains("password authentication failed"))
        #expect(error.contains("Check the user and the password"))
        #expect(!error.contains("Wr0ngSecret"))
    }

    @Test(
        "what to do is told by SQLSTATE, in whatever language and encoding the server speaks",
        arguments: [
            ("FATAL", "28P01", Array("Passwort-Authentifizierung für »a« fehlgeschlagen".utf8), .password, "für »a«"),
            ("ФАТАЛЬНО", "3D000", Array("база не существует".utf8), .database, "база не существует"),
            ("FATAL", "28000", Array("password authentication failed".utf8), .login, "password authentication"),
            ("FATAL", "42501", Array("does not exist".utf8), .privilege, "does not exist"),
            ("FATAL", "53300", [0x66, 0xFC, 0x72], .full, "f\u{FFFD}r"),
            ("FATAL", "08P01", Array("no such user".utf8), .proxy, "no such user"),
        ] as [(String, String, [UInt8], ConnectFailure.Cause, String)])
    func causes(
        severity: String, code: String, message: [UInt8], cause: ConnectFailure.Cause, words: String
    ) async throws {
        let server = try RefusingServer(severity: severity, sqlstate: code, message: message)
        let settings = ConnectionSettings("host=127.0.0.1 port=\(server.port) sslmode=disable gssencmode=disable")
        let error = try await failure(settings)
        #expect(error.contains(words) && error.hasSuffix(cause.remedy), "\(error)")
        #expect(!error.contains(code) && !error.contains("auth_failed"), "\(error)")
    }

    @Test("a closed port is said, with its address")
    func closedPort() async throws {
        let error = try await failure(ConnectionSettings("host=127.0.0.1 port=1"))
        #expect(error.contains("Connection refused") && error.contains("127.0.0.1"))
    }

    @Test("a name that can't be resolved is said")
    func unresolvable() async throws {
        let error = try await failure(ConnectionSettings("host=no-such-host.invalid"))
        #expect(error.contains("no-such-host.invalid") && error.contains("cannot resolve the name"))
    }

    @Test("a missing socket is said")
    func missingSocket() async throws {
        let error = try await failure(ConnectionSettings("host=/nonexistent"))
        #expect(error.contains("/nonexistent"))
    }

    @Test("a peer that accepts and says nothing costs the connect timeout, then comes the next host")
    func silentHost() async throws {
        let silent = try Listener()
        // Long enough for the host that answers, also on a busy machine and under a sanitizer.
        let settings = ConnectionSettings(
            "host=127.0.0.1,127.0.0.1 port=\(silent.port),\(variable("PGPORT"))", connectTimeout: .seconds(2))
        #expect(try await failure(settings) == "connected")
        let alone = ConnectionSettings(
            "host=127.0.0.1 port=\(silent.port)", connectTimeout: .milliseconds(300))
        #expect(try await failure(alone).contains("no answer"))
        let hurried = ConnectionSettings("host=127.0.0.1 port=\(silent.port)")
        #expect(try await failure(hurried, within: .milliseconds(200)).contains("no answer"))
    }

    @Test("of several hosts, those that are down or unknown are passed over")
    func multipleHosts() async throws {
        let settings = ConnectionSettings(
            "host=no-such-host.invalid,127.0.0.1,localhost port=1,1,\(variable("PGPORT")) target_session_attrs=read-write"
        )
        #expect(try await failure(settings) == "connected")
    }

    @Test("a primary is not taken for a standby, and prefer-standby takes it in the end")
    func sessionAttributes() async throws {
        let error = try await failure(ConnectionSettings("target_session_attrs=standby"))
        #expect(error.contains("not in hot standby mode"))
        #expect(try await failure(ConnectionSettings("target_session_attrs=prefer-standby")) == "connected")
    }

    @Test("canceling the task ends the attempt at once")
    func canceled() async throws {
        let silent = try Listener()
        let port = silent.port
        let error = try await onLoop { loop in
            let task = Task(executorPreference: loop) {
                do {
                    _ = try await Connection.open(
                        ConnectionSettings("host=127.0.0.1 port=\(port)"), on: loop, deadline: soon)
                    return "connected"
                } catch {
                    return "\(error)"
                }
            }
            while !silent.hasClient { await Task.yield() }
            task.cancel()
            return await task.value
        }
        #expect(error == PostgresError.canceled(.notSent).description)
    }

    @Test("an option reaches the session, spaces and backslashes intact, and pg_stat_activity does not show it")
    func options() async throws {
        let secret = #"zq7 a b\c'd "e" é=1"#
        let settings = ConnectionSettings(
            "options='-c work_mem=5MB'", applicationName: "otpd-options", sessionOptions: [("otp.secret", secret)])
        try await withConnection(settings) { connection in
            let ask = Statement(
                "ask",
                """
                SELECT current_setting('otp.secret'), current_setting('work_mem'),
                       (SELECT bool_or(a::text LIKE '%' || $1 || '%') FROM pg_stat_activity a),
                       current_setting('application_name'), current_setting('client_encoding')
                """, [.text])
            // The marker is a parameter, because as SQL text it would find itself.
            let row = try await connection.execute(ask, .of { $0.append("zq7") }, deadline: soon)
            #expect(try row.string(0, 0) == secret)
            #expect(try row.string(0, 1) == "5MB")
            #expect(try row.bool(0, 2) == false)
            #expect(try row.string(0, 3) == "otpd-options")
            #expect(try row.string(0, 4) == "UTF8")
        }
    }
}
