import EventLoop
import Glibc
import Postgres
import Synchronization
import TestSupport

/// The database that the tests' databases are cloned from: migrated once per run by `otpd migrate up`.
enum Template {
    private static let prefix = "otpd_test_\(getpid())"
    private static let serial = Atomic(0)
    private static let template = Task { () async throws -> String in
        let name = "\(prefix)_template"
        try await maintenance("CREATE DATABASE \(name)")
        // It is deleted at exit too, but psql needs it before. The function registered last runs first.
        _ = try ScratchFolder.shared.get()
        // Also if a test crashes the run, as far as possible.
        atexit { dropTemplate() }
        var environment = Environment.base
        environment["PGDATABASE"] = name
        let migrate = try Program(
            BuildFolder.executable("otpd"), ["migrate", "up"], environment: environment)
        guard try await migrate.exit(within: .seconds(60)) == 0 else {
            throw Trouble("otpd migrate up failed: \(migrate.errors)")
        }
        // Many tests send a code again at once. Tests/sql/38_resend_after.sh tests the shipped setting.
        let database = try await TestDatabase.open(database: name)
        do {
            _ = try await database.simple(
                "UPDATE otp.settings SET resend_after = '0'", deadline: .now() + .seconds(60))
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        return name
    }

    /// A new database's name: a copy of the template, or empty.
    static func clone(migrated: Bool) async throws -> String {
        let name = "\(prefix)_\(serial.add(1, ordering: .relaxed).newValue)"
        let source = try await template.value
        try await maintenance("CREATE DATABASE \(name) TEMPLATE \(migrated ? source : "template0")")
        return name
    }

    static func drop(_ name: String) async throws { try await maintenance("DROP DATABASE \(name) WITH (FORCE)") }

    private static func maintenance(_ sql: String) async throws {
        let connection = try await TestDatabase.open(database: "postgres")
        do {
            _ = try await connection.simple(sql, deadline: .now() + .seconds(60))
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    /// At the end of the run, with plain psql, because nothing asynchronous runs then.
    fileprivate static func dropAtExit() {
        var environment = Environment.base
        environment["PGDATABASE"] = "postgres"
        let sql = "DROP DATABASE IF EXISTS \(prefix)_template WITH (FORCE)"
        guard let psql = try? Program("psql", ["-qXc", sql], environment: environment) else { return }
        for _ in 0..<2000 where psql.ending == nil { usleep(5000) }
    }
}

private func dropTemplate() { Template.dropAtExit() }
