import EventLoop
import Glibc
import OTP
import Postgres
import Queue
import Synchronization
import TestSupport

/// A database for one test.
///
/// All tests share one loop. It has a connection as superuser with `otp.secret`, and others on demand.
final class TestDatabase: Sendable {
    let name: String
    private let connection: Connection

    static let secret = "integration-tests-secret-0123456789_ABCDEF"
    private static let serial = Atomic(0)
    private static let loop = Result { try EventLoop.start(name: "test-sql") }

    init(name: String) async throws {
        self.name = name
        connection = try await Self.open(database: name)
    }

    /// A new connection to this database, with the given secret if there is one.
    func connect(secret: String = TestDatabase.secret, options: [(String, String)] = []) async throws -> Session {
        Session(try await Self.open(database: name, secret: secret, options: options))
    }

    static func open(
        database: String, secret: String = TestDatabase.secret, options: [(String, String)] = []
    ) async throws -> Connection {
        var settings = ConnectionSettings("dbname=\(database)", applicationName: "otpd-test")
        settings.connectTimeout = .seconds(20)
        settings.sessionOptions = [("otp.secret", secret), ("client_min_messages", "error")] + options
        return try await Connection.open(settings, on: loop.get(), deadline: .now() + .seconds(120))
    }

    func close() async { await connection.close() }

    /// Another session for the test.
    struct Session: Sendable {
        let connection: Connection
        init(_ connection: Connection) { self.connection = connection }

        /// The last statement's rows as `psql -At` prints them: `|` between columns, and nothing for NULL.
        @discardableResult
        func text(_ sql: String) async throws -> String {
            let results = try await connection.simple(sql, deadline: .now() + .seconds(60))
            guard let last = results.last else { return "" }
            return try (0..<last.rowCount).map { row in
                try (0..<last.columnCount).map { try last.stringIfPresent(row, $0) ?? "" }.joined(separator: "|")
            }.joined(separator: "\n")
        }

        func close() async { await connection.close() }
    }

    /// See `Session.text`.
    @discardableResult
    func text(_ sql: String) async throws -> String { try await Session(connection).text(sql) }

    /// The SQLSTATE, message and detail of the error that `sql` ends with.
    func refusal(_ sql: String) async throws -> ServerError {
        do {
            let answer = try await text(sql)
            throw Trouble("no error, but: \(answer)")
        } catch PostgresError.server(let error) {
            return error
        }
    }

    /// Waits until `sql` returns `expected`.
    func becomes(_ expected: String, within span: Duration = .seconds(30), _ sql: String) async throws {
        var last = ""
        do {
            _ = try await eventually("", within: span) {
                last = try await text(sql)
                return last == expected ? true : nil
            }
        } catch let trouble as Trouble {
            throw Trouble("“\(expected)” expected, still “\(last)”: \(sql)\n\(trouble)")
        }
    }

    /// Queues a code, as a backend does. Returns the send job's id.
    @discardableResult
    func enqueue(
        _ phoneNumber: String, subject: String? = nil, locale: String = "en", code: String? = nil,
        life: String = "5 minutes"
    ) async throws -> String {
        let subject = subject ?? "user \(Self.serial.add(1, ordering: .relaxed).newValue)"
        return try await text(
            """
            WITH v AS (
                INSERT INTO otp.verifications (subject, phone_number, locale, code, expires_at)
                VALUES ('\(subject)', '\(phoneNumber)', '\(locale)',
                        \(code.map { "'\($0)'" } ?? "NULL"), now() + interval '\(life)')
                RETURNING id)
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v RETURNING id
            """)
    }

    /// Queues `count` codes to the numbers from 0501000001 on, or from another one on, in one transaction.
    func enqueueMany(_ count: Int, from first: Int = 1, life: String = "5 minutes") async throws {
        try await text(
            """
            BEGIN;
            -- These numbers follow each other, as those of a pumping run do.
            DELETE FROM otp.limits WHERE scope IN ('block', 'total', 'budget') OR scope LIKE 'unused%';
            WITH v AS (
                INSERT INTO otp.verifications (subject, phone_number, expires_at)
                SELECT 'many ' || n, '0501' || lpad(n::text, 6, '0'), now() + interval '\(life)'
                  FROM generate_series(\(first), \(first + count - 1)) n
                RETURNING id)
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v;
            COMMIT
            """)
    }
}

extension CodeKeys {
    /// The keys of the tests' backends.
    static let tests = CodeKeys(Secret(TestDatabase.secret))
}
