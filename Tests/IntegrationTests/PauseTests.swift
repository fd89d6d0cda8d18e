import TestSupport
import Testing

/// Pauses of a country, a prefix, everything. Jobs wait and are then sent or expire, other jobs are sent, and none
/// twice.
@Suite(.database) struct PauseTests {
    let database = TestScope.current?.database

    private static let states = "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1 ORDER BY 1"
    private static let names = "SELECT string_agg(name, ',' ORDER BY name) FROM otp.pauses"

    /// Queues `count` codes to numbers that share all but their last digits.
    private func enqueue(_ count: Int, to first: String, from: Int = 1001) async throws {
        let database = try #require(database)
        for index in 0..<count { try await database.enqueue("\(first)\(from + index)") }
    }

    private func jordan() async throws {
        try await database?.text("INSERT INTO otp.countries (region) VALUES ('JO')")
        try await database?.text("DELETE FROM otp.limits")
    }

    private func refusals(_ code: Int, _ count: Int) -> String {
        #"{"next": [{"fault": "refuse", "code": \#(code), "count": \#(count)}]}"#
    }

    @Test func aCountryWaitsAndResumesAloneWhileOthersGoOn() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await jordan()
        // Two workers share the pause.
        let first = try await Otpd.run(simulator)
        let second = try await Otpd.run(simulator)
        try simulator.faults(refusals(21408, 1))
        try await enqueue(1, to: "+96650123")
        try await database.becomes("country SA", Self.names)
        for worker in [first, second] { try await worker.says("a pause has begun: its jobs wait") }
        #expect(
            try await database.text(
                """
                SELECT reason, remedy <> '', next_probe_at - since BETWEEN '4 seconds' AND '6 seconds', probes, created_by ~ 'otpd worker'
                  FROM otp.pauses
                """) == "Sending to this country is not enabled in the Twilio account.|t|t|0|t")
        // The next five are held and never reach Twilio. Another country is not held.
        try await enqueue(5, to: "+96650124")
        try await enqueue(4, to: "+96279012")
        try await database.becomes("accepted|4\nqueued|6", Self.states)
        try await database.becomes(
            "6|6",
            "SELECT count(*), count(*) FILTER (WHERE due_at = expires_at) FROM otp.send_jobs WHERE (hold_kind, hold_key) = ('pause', 'country SA')"
        )
        #expect(
            try await database.text(
                """
                SELECT count(*), count(*) FILTER (WHERE error LIKE 'It waits: sending to SA is paused%' AND remedy <> '')
                  FROM otp.delivery_status WHERE job_state = 'queued'
                """) == "6|5")
        #expect(
            try await database.text(
                """
                SELECT p->>'scope', p->>'reason' <> '', p->>'remedy' <> '', p->>'since' <> '', p->>'next_probe_at' <> ''
                  FROM otp.queue_status, jsonb_array_elements(paused) p
                """) == "country SA|t|t|t|t")
        #expect(try simulator.stats().creates == 5)
        // The probe succeeds, and all held jobs follow.
        try await database.becomes("accepted|10", within: .seconds(30), Self.states)
        try await database.becomes("", Self.names)
        for worker in [first, second] { try await worker.says("a pause has ended: its jobs are due") }
        let stats = try simulator.stats()
        #expect(stats.creates == 11 && stats.created == 10 && stats.numbersRepeated == 0)
    }

    /// One worker takes the turn and one job is sent. The waits grow, and all other jobs stay held.
    @Test func probesGoOneAtATimeAtGrowingIntervals() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let workers = [try await Otpd.run(simulator), try await Otpd.run(simulator)]
        try simulator.faults(refusals(21408, 1000))
        try await enqueue(1, to: "+96650123")
        for worker in workers { try await worker.says("a pause has begun: its jobs wait") }
        try await enqueue(6, to: "+96650124")
        try await database.becomes(
            "7",
            "SELECT count(*) FROM otp.send_jobs WHERE (hold_kind, hold_key) = ('pause', 'country SA') AND due_at = expires_at"
        )
        for probes in 1...2 {
            try await database.becomes(
                "\(probes)|t", within: .seconds(30),
                "SELECT probes, next_probe_at - now() BETWEEN '\(5 << probes) seconds'::interval - '5 seconds' AND '\(5 << probes) seconds' FROM otp.pauses"
            )
            try await database.becomes(
                "7",
                "SELECT count(*) FROM otp.send_jobs WHERE (hold_kind, hold_key) = ('pause', 'country SA') AND due_at = expires_at"
            )
            #expect(try simulator.stats().creates == 1 + probes)
        }
        // The newest job was the probe, both times.
        #expect(
            try await database.text("SELECT string_agg(attempt::text, ',' ORDER BY id) FROM otp.send_jobs")
                .hasSuffix(",3"))
        // Any worker serves a later turn, also one that starts now.
        try simulator.faults(#"{"next": []}"#)
        try await database.text("UPDATE otp.pauses SET next_probe_at = now()")
        try await Otpd.run(simulator)
        try await database.becomes("accepted|7", within: .seconds(30), Self.states)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    @Test func heldJobsExpireWithTheirCode() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try simulator.faults(refusals(21408, 1000))
        try await enqueue(3, to: "+96650123")
        try await database.becomes(
            "3", "SELECT count(*) FROM otp.send_jobs WHERE (hold_kind, hold_key) = ('pause', 'country SA')")
        try await database.text("UPDATE otp.send_jobs SET expires_at = now()")
        try await database.becomes("expired|3", Self.states)
        #expect(
            try await database.text(
                "SELECT count(*) FROM otp.delivery_status WHERE error LIKE 'Its code expired%' AND remedy <> ''")
                == "3")
    }

    /// Suspected fraud behind a number holds its block of ten thousand numbers, and no other.
    @Test func aPrefixIsHeld() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try simulator.faults(refusals(30450, 1))
        try await enqueue(1, to: "+96650123")
        try await database.becomes("prefix +96650123", Self.names)
        try await database.text("UPDATE otp.pauses SET next_probe_at = now() + interval '1 hour'")
        try await enqueue(2, to: "+96650123", from: 2001)
        try await enqueue(2, to: "+96650124")
        try await database.becomes("accepted|2\nqueued|3", Self.states)
        try await database.becomes(
            "3", "SELECT count(*) FROM otp.send_jobs WHERE (hold_kind, hold_key) = ('pause', 'prefix +96650123')")
        let resumed = try await Otpd.command(["resume", "--prefix", "+96650123"])
        #expect(resumed.code == 0)
        try await database.becomes("accepted|5", Self.states)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    @Test func everythingIsPausedByHandAndResumed() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        try await Otpd.run(simulator)
        let paused = try await Otpd.command(["pause", "--all", "--reason", "the gateway moves", "--json"])
        #expect(
            paused.code == 0 && paused.output.contains(#""scope": "all""#)
                && paused.output.contains("the gateway moves"))
        try await database.becomes(
            "paused|the gateway moves|Run otpd resume --all to send again.|t|2",
            """
            SELECT state, reason, remedy, paused_since <= now() AND next_probe_at IS NULL, count(*)
              FROM otp.worker_status GROUP BY 1, 2, 3, 4
            """)
        #expect(try await Otpd.command(["status", "--check"]).code == 69)
        #expect(try await Otpd.command(["pause"]).output.contains("the gateway moves"))
        try await enqueue(5, to: "+96650123")
        try await stays("nothing is sent", for: .seconds(2)) { try simulator.stats().creates == 0 }
        // A worker that starts now holds it too.
        try await Otpd.run(simulator)
        try await stays("nothing is sent", for: .seconds(1)) { try simulator.stats().creates == 0 }
        #expect(try await Otpd.command(["resume", "--all"]).code == 0)
        try await database.becomes("accepted|5", Self.states)
        try await otpd.says("a pause has ended: its jobs are due")
        #expect(try simulator.stats().creates == 5)
        try await database.becomes("running|3", "SELECT state, count(*) FROM otp.worker_status GROUP BY 1")
    }

    /// A pause that an operator began is never probed, and a refusal does not make it the worker's.
    @Test func aCountryIsPausedByHand() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await jordan()
        let otpd = try await Otpd.run(simulator)
        #expect(try await Otpd.command(["pause", "--country", "sa", "--reason", "wait"]).code == 0)
        try await otpd.says("a pause has begun: its jobs wait")
        try await enqueue(3, to: "+96650123")
        try await enqueue(1, to: "+96279012")
        try await database.becomes("accepted|1\nqueued|3", Self.states)
        try await database.becomes(
            "3", "SELECT count(*) FROM otp.send_jobs WHERE (hold_kind, hold_key) = ('pause', 'country SA')")
        try await stays("nothing is probed", for: .seconds(7)) { try simulator.stats().creates == 1 }
        let list = try await Otpd.command(["pause"])
        #expect(list.code == 0 && list.output.contains("country SA") && list.output.contains("wait"))
        #expect(try await Otpd.command(["status"]).output.contains("country SA"))
        // The same in SQL.
        try await database.text("DELETE FROM otp.pauses")
        try await database.becomes("accepted|4", Self.states)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    @Test(
        arguments: [
            (["pause", "--all"], 64), (["pause", "--all", "--country", "SA", "--reason", "x"], 64),
            (["pause", "--reason", "x"], 64), (["pause", "--country", "SAU", "--reason", "x"], 64),
            (["pause", "--country", "UK", "--reason", "x"], 65), (["pause", "--country", "XX", "--reason", "x"], 65),
            (["pause", "--prefix", "+966501234567", "--reason", "x"], 64), (["pause", "--all", "--reason", " "], 64),
            (["resume"], 64), (["resume", "--country", "JO"], 65), (["pause"], 0), (["pause", "--json"], 0),
        ] as [([String], Int32)])
    func mistakesAreSaid(arguments: [String], code: Int32) async throws {
        let answer = try await Otpd.command(arguments)
        #expect(answer.code == code, "\(answer.errors)")
        #expect((code == 0) == answer.errors.isEmpty)
        #expect(!answer.errors.contains("966501234567"))
        #expect(try await database?.text("SELECT count(*) FROM otp.pauses") == "0")
    }
}
