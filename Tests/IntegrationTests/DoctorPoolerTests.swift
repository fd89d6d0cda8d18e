import Glibc
import TestSupport
import Testing

/// `otpd doctor` through PgBouncer.
@Suite(.database) struct DoctorPoolerTests {
    /// Starts PgBouncer with these settings. Returns its port.
    private func pooler(_ settings: String) async throws -> UInt16 {
        let scope = try #require(TestScope.current)
        let port = try Loopback.freePort()
        let folder = try Files.makeFolder()
        // PgBouncer reads it only at its start.
        defer {
            unlink("\(folder)/pgbouncer.ini")
            rmdir(folder)
        }
        let base = Environment.base
        try Files.write(
            """
            [databases]
            * = host=\(base["PGHOST"] ?? "localhost") port=\(base["PGPORT"] ?? "5432") \
            user=\(base["PGUSER"] ?? "postgres") password=\(base["PGPASSWORD"] ?? "")
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = any
            \(settings)

            """, to: "\(folder)/pgbouncer.ini")
        // PgBouncer refuses to run as root.
        let asPostgres = ["--reuid=postgres", "--regid=postgres", "--clear-groups", "pgbouncer"]
        let isRoot = getuid() == 0
        if isRoot {
            chmod(folder, 0o711)
            // The password of a throwaway server, readable only while PgBouncer starts.
            chmod("\(folder)/pgbouncer.ini", 0o644)
        }
        let program = try scope.start(
            isRoot ? "setpriv" : "pgbouncer", (isRoot ? asPostgres : []) + ["\(folder)/pgbouncer.ini"],
            environment: base.merging(["PATH": "\(base["PATH"] ?? ""):/usr/sbin"]) { $1 })
        try await program.says("process up")
        return port
    }

    private func examine(_ port: UInt16) async throws -> Doctor {
        let nobody = try Loopback.closedPort()
        return try await Doctor.examine(
            Otpd.environment("http://127.0.0.1:\(nobody)", ["PGHOST": "127.0.0.1", "PGPORT": "\(port)"]))
    }

    @Test func transactionMode() async throws {
        let doctor = try await examine(pooler("pool_mode = transaction"))
        #expect(doctor.code == 78)
        let listen = try doctor.finding("listen")
        #expect(listen.verdict == "fail" && listen.found.contains("transaction mode"))
        #expect(listen.remedy?.contains("PostgreSQL itself") == true)
        // The other checks run all the same.
        #expect(doctor.troubles["database-connection"] == nil && doctor.troubles["schema"] == nil)
        #expect(doctor.troubles["secret-agrees"] == nil && doctor.troubles["template-segments"] == nil)
    }

    @Test func sessionModeHears() async throws {
        let doctor = try await examine(pooler("pool_mode = session"))
        #expect(try doctor.finding("listen").verdict == "pass")
        #expect(try doctor.finding("listen").found.contains("pooler"))
    }
}
