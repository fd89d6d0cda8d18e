import Glibc
import TestSupport
import Testing

/// The environment of the process: limits of the system, variables of libraries.
@Suite(.database) struct SurroundingsTests {
    let database = TestScope.current?.database

    private static let states = "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1 ORDER BY 1"

    /// With a low limit on open files, fewer requests are sent at a time, and nothing pauses.
    @Test(arguments: [24, 40, 64])
    func aLowLimitOnOpenFiles(limit: Int) async throws {
        let database = try #require(database)
        let scope = try #require(TestScope.current)
        let simulator = try await Simulator.start()
        // A host name, so that lookups take descriptors, as in production.
        let otpd = try scope.start(
            "sh", ["-c", "ulimit -n \(limit); exec \"$0\" run", BuildFolder.executable("otpd")],
            environment: Otpd.environment("http://localhost:\(simulator.port)", ["OTPD_MAX_IN_FLIGHT": "64"]))
        try await otpd.says(Otpd.isConnected)
        try await database.enqueueMany(300)
        try await database.becomes("accepted|300", within: .seconds(60), Self.states)
        #expect(!otpd.errors.contains("paused"))
        #expect(otpd.errors.split(separator: "\n").count { $0.contains("RLIMIT_NOFILE) is \(limit)") } == 1)
        try await database.becomes(
            "t", "SELECT twilio_state LIKE '%(RLIMIT_NOFILE) is \(limit)%' FROM otp.worker_status")
    }

    /// The soft limit is raised to the hard one.
    @Test func theSoftLimitIsRaised() async throws {
        let scope = try #require(TestScope.current)
        let simulator = try await Simulator.start()
        let otpd = try scope.start(
            "sh", ["-c", "ulimit -Sn 32; exec \"$0\" run", BuildFolder.executable("otpd")],
            environment: Otpd.environment(simulator.url))
        try await otpd.says(Otpd.isConnected)
        let line = Files.read("/proc/\(otpd.pid)/limits").split(separator: "\n").first {
            $0.hasPrefix("Max open files")
        }
        let words = try #require(line).split(separator: " ").map(String.init)
        #expect(words[3] == words[4] && words[3] != "32")
        #expect(!otpd.errors.contains("RLIMIT_NOFILE"))
    }

    /// The last descriptor is used up while it runs. That is one pause with the right reason, which ends when
    /// descriptors are free.
    @Test func noDescriptorIsLeft() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        func limit(_ count: Int) async throws {
            let scope = try #require(TestScope.current)
            let program = try scope.start(
                "prlimit", ["--pid", "\(otpd.pid)", "--nofile=\(count):4096"], environment: Environment.base)
            try #require(try await program.exit() == 0)
        }
        try await limit(3)
        try await database.enqueueMany(30)
        try await database.becomes("paused", "SELECT state FROM otp.worker_status")
        #expect(
            try await database.text(
                "SELECT reason LIKE '%EMFILE%', remedy LIKE '%LimitNOFILE%' FROM otp.worker_status") == "t|t")
        try await stays("it is paused once", for: .seconds(3)) {
            otpd.errors.split(separator: "\n").count { $0.contains("paused: nothing is sent") } == 1
        }
        try await limit(4096)
        try await database.becomes("accepted|30", within: .seconds(30), Self.states)
        try await database.becomes("running", "SELECT state FROM otp.worker_status")
    }

    /// TLS session keys are written to no file, and no proxy is used, whatever the environment says.
    @Test func variablesOfLibrariesAreRemoved() async throws {
        let database = try #require(database)
        let scope = try #require(TestScope.current)
        let folder = try ScratchFolder.shared.get() + "/keys-\(getpid())"
        try #require(mkdir(folder, 0o700) == 0)
        let certificate = "\(folder)/tls.crt"
        let request = try scope.start(
            "openssl",
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "\(folder)/tls.key", "-out", certificate,
            ], environment: Environment.base)
        try #require(try await request.exit() == 0)
        let port = try Loopback.freePort()
        let server = try scope.start(
            "openssl",
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", "\(folder)/tls.key", "-www"],
            environment: Environment.base)
        try await server.says("ACCEPT")
        let dead = "http://127.0.0.1:\(try Loopback.closedPort())"
        let hostile: [String: String] = [
            "SSLKEYLOGFILE": "\(folder)/curl.keys", "PGSSLKEYLOGFILE": "\(folder)/pg.keys", "https_proxy": dead,
            "HTTPS_PROXY": dead, "http_proxy": dead, "ALL_PROXY": dead, "OPENSSL_CONF": "\(folder)/none.cnf",
            "HOSTALIASES": "\(folder)/aliases",
        ]
        var changes: [String: String?] = ["OTPD_CA_FILE": certificate]
        for (name, value) in hostile { changes[name] = value }
        let otpd = try await Otpd.run(at: "https://localhost:\(port)", changes)
        try await otpd.says("removed variables of libraries from the environment")
        for (name, value) in hostile {
            #expect(otpd.errors.contains(name) && !otpd.errors.contains(value), "\(name): names, and no values")
        }
        try await database.enqueue("+966501230001")
        // TLS worked: the server answered with its own page.
        try await database.becomes("unknown", "SELECT state FROM otp.send_jobs")
        #expect(access("\(folder)/curl.keys", F_OK) != 0 && access("\(folder)/pg.keys", F_OK) != 0)

        // The same for every command.
        let simulator = try await Simulator.start()
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url, changes))
        #expect(doctor.findings.contains { $0.id == "settings" && $0.found.contains("SSLKEYLOGFILE") })
        #expect(access("\(folder)/curl.keys", F_OK) != 0)
    }
}
