import Glibc
import Testing

/// Sockets that die without a word, between the worker and its database or Twilio.
@Suite(.database) struct BrokenSocketTests {
    let database = TestScope.current?.database

    /// The database's connections fall silent while a message is at Twilio: its end waits in memory, and is written
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
        try await database.becomes(
            "accepted|1|2|2", within: .seconds(40),
            """
            SELECT job_state, max(attempts), count(*), count(DISTINCT message_sid)
              FROM otp.delivery_status GROUP BY job_state
            """)
        #expect(try simulator.stats().created == 2)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    /// The way to Twilio breaks while messages are on it: their outcome is unknown, and what comes later goes on.
    @Test func aCutToTwilioLeavesUnknownsAndGoesOn() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let port = try Loopback.freePort()
        let proxy = try TCPProxy(port: port, to: simulator.port)
        defer { proxy.stop() }
        try await Otpd.run(at: "http://127.0.0.1:\(port)")
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 3000}"#)
        try await database.enqueueMany(20)
        _ = try await eventually("all are at Twilio") { try simulator.stats().concurrent == 20 ? true : nil }
        proxy.cut()
        try await database.becomes("unknown|20", "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        try simulator.faults(#"{"rates": {}}"#)
        try await database.enqueue("0501234567", subject: "later")
        try await database.becomes(
            "accepted", "SELECT job_state FROM otp.delivery_status WHERE subject = 'later'")
        try await stays("nothing is sent again", for: .seconds(2)) { try simulator.stats().creates == 21 }
        #expect(try simulator.stats().numbersRepeated == 0)
    }
}
