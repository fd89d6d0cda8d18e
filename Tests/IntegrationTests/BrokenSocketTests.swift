import Glibc
import TestSupport
import Testing

/// Connections that fail silently, between the worker and its database or Twilio.
@Suite(.database) struct BrokenSocketTests {
    let database = TestScope.current?.database

    /// The database's connections fall silent while a message is at Twilio. The ending waits in memory, and is recorded
    /// through the next connection.
    @Test func aSilentDatabaseLosesNoEnding() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let port = try Loopback.freePort()
        let proxy = try TCPProxy(port: port, to: PostgresServer.port())
        defer { proxy.stop() }
        try await Otpd.run(simulator, ["PGHOST": "127.0.0.1", "PGPORT": "\(port)"])
        try simulator.faults(#"{"next": [{"fault": "slow", "ms": 1000}]}"#)
        try await database.enqueue("0501234567")
        _ = try await eventually("it is at Twilio") { try simulator.stats().concurrent == 1 ? true : nil }
        proxy.freeze()
        try await database.enqueue("0501234568")
        // The second job may have been claimed before the silence, and the claim's answer lost. Then it was released.
        try await database.becomes(
            "accepted|t|2|2", within: .seconds(40),
            """
            SELECT job_state, max(attempts) <= 2, count(*), count(DISTINCT message_sid)
              FROM otp.delivery_status GROUP BY job_state
            """)
        #expect(try simulator.stats().created == 2)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    /// The connection to Twilio breaks while messages are under way. Their outcome is unknown, and later jobs are sent.
    @Test func aCutToTwilioLeavesUnknownsAndGoesOn() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let port = try Loopback.freePort()
        let proxy = try TCPProxy(port: port, to: simulator.port)
        defer { proxy.stop() }
        try await Otpd.run(at: "http://127.0.0.1:\(port)")
        // Twilio's list lags, so lookups find nothing meanwhile.
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 3000, "list_lag_ms": 3600000}"#)
        // As many as a worker begins with.
        try await database.enqueueMany(16)
        _ = try await eventually("all are at Twilio") { try simulator.stats().concurrent == 16 ? true : nil }
        proxy.cut()
        try await database.becomes("unknown|16", "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        try simulator.faults(#"{"rates": {}}"#)
        try await database.enqueue("0501234567", subject: "later")
        try await database.becomes(
            "accepted", "SELECT job_state FROM otp.delivery_status WHERE subject = 'later'")
        try simulator.faults(#"{"list_lag_ms": 0}"#)
        try await database.becomes(
            "accepted|17", within: .seconds(40), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        #expect(try simulator.stats().creates == 17)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    /// Hundreds of attempts end while the database is unreachable. Their endings wait in memory, which stays small, and
    /// none is lost. `OTPD_TEST_ENDS` sets another number (10000 needs as many sockets: ulimit -n 20000).
    @Test func endsWaitForTheDatabase() async throws {
        let database = try #require(database)
        let count = Environment.current["OTPD_TEST_ENDS"].flatMap { Int($0) } ?? 300
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "\(count)"])
        // A worker begins with few requests at a time. After this many answers, over some time, it sends all at once.
        let warming = 4 * count
        try await database.enqueueMany(warming)
        try await database.becomes("\(warming)", within: .seconds(60), "SELECT count(*) FROM otp.messages")
        // Long enough that all requests are under way at once, and shorter than the limit of a request (10 s).
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": \#(count > 300 ? 9000 : 5000)}"#)
        try await database.enqueueMany(count, from: warming + 1)
        _ = try await eventually("all are at Twilio") { try simulator.stats().concurrent == count ? true : nil }
        // New connections are refused; this one stays.
        try await database.text(
            """
            UPDATE pg_database SET datallowconn = false WHERE datname = current_database();
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd'
            """)
        let before = otpd.residentMemory
        _ = try await eventually("all are answered") { try simulator.stats().concurrent == 0 ? true : nil }
        try await stays("nothing is written", for: .seconds(1)) {
            try await database.text("SELECT count(*) FROM otp.messages") == "\(warming)"
        }
        let after = otpd.residentMemory
        print("\(count) ends waiting: \(before >> 20) MB before, \(after >> 20) MB with them")
        #expect(after - before < 4 << 20 + count * 2048)
        try await database.text("UPDATE pg_database SET datallowconn = true WHERE datname = current_database()")
        try await database.becomes(
            "accepted|\(warming + count)|1", within: .seconds(40),
            "SELECT job_state, count(*), max(attempts) FROM otp.delivery_status GROUP BY 1")
        #expect(try simulator.stats().numbersRepeated == 0)
    }
}
