import TestSupport
import Testing

/// Codes that are sent and never used, with a real worker.
@Suite(.database) struct FraudTests {
    let database = TestScope.current?.database

    /// Requests for numbers that are not near each other, each from a network of its own.
    private func request(_ count: Int, from first: Int) async throws -> Int {
        let database = try #require(database)
        let answered = try await database.text(
            """
            CREATE OR REPLACE FUNCTION public.ask(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                PERFORM otp.request('user ' || n, '+96655' || (n * 79 % 900 + 100) || lpad((n * 104729 % 10000)::text, 4, '0'),
                    client_ip => format('203.%s.%s.1', n / 250, n % 250)::inet);
                RETURN true;
            EXCEPTION WHEN SQLSTATE 'OT001' THEN RETURN false; END $$;
            SELECT count(*) FILTER (WHERE public.ask(n)) FROM generate_series(\(first), \(first + count - 1)) n
            """)
        return try #require(Int(answered))
    }

    @Test("a burst of two hundred random numbers costs at most fifty texts, and the users of a proven network pass")
    func burst() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        #expect(try await request(200, from: 1) > 0)
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs")
        let sent = try simulator.stats().creates
        #expect(sent <= 50, "\(sent) texts left")
        #expect(sent >= 30, "\(sent) texts left")
        try await otpd.says("requests are held back: codes like theirs were sent and not used")
        // The code of one of them is used, so its network is proven, and its neighbors get codes too.
        let used = try await database.text(
            """
            SELECT v.subject FROM otp.messages m JOIN otp.verifications v ON v.id = m.verification_id ORDER BY v.id LIMIT 1
            """)
        let number = try await database.text("SELECT e164 FROM otp.verifications WHERE subject = '\(used)'")
        let code = try #require(try simulator.inbox().first { $0.to == number }).code
        #expect(try await database.text("SELECT otp.verify('\(used)', '\(code)')") == "t")
        try await database.becomes("1", "SELECT count(*) FROM otp.fraud_counts WHERE proven_at IS NOT NULL")
        let network = try await database.text("SELECT client_ip FROM otp.verifications WHERE subject = '\(used)'")
        try await database.text("SELECT otp.request('neighbor', '0551112222', client_ip => '\(network)')")
        try await database.becomes(
            "1",
            """
            SELECT count(*) FROM otp.messages m JOIN otp.verifications v ON v.id = m.verification_id
             WHERE v.subject = 'neighbor'
            """)
        // An operator ends the holds, and a new network gets a code again.
        try await database.text("SELECT otp.end_hold(scope, key) FROM otp.fraud_status")
        try await otpd.says("a hold has ended")
        #expect(try await request(1, from: 249) == 1)
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs")
        #expect(try simulator.stats().creates == sent + 2)
    }

    @Test(
        "the number of a suspicious text is looked up: a risky one gets no text, and a lookup that hangs delays one at most"
    )
    func lookups() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("UPDATE otp.settings SET lookup_suspicious = true")
        let otpd = try await Otpd.run(simulator, ["OTPD_LOG_LEVEL": "debug"])
        #expect(try await request(29, from: 1) == 29)
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs")
        #expect(try simulator.stats().lookups == 0, "nothing is held")
        _ = try await request(3, from: 30)
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs")
        let stats = try simulator.stats()
        #expect(stats.creates == 32 && stats.lookups == 2)
        try await database.becomes("2", "SELECT checks FROM otp.risk_check_counts WHERE outcome = 'passed'")

        let score = "SELECT score FROM otp.fraud_counts WHERE scope = 'country' AND key = 'SA'"
        let before = try await database.text(score)
        try await database.text("SELECT otp.request('risky', '+966590700097', client_ip => '198.51.100.1')")
        try await database.becomes(
            "limited|t|t",
            """
            SELECT concat_ws('|', u.state, u.error LIKE 'Twilio rates the risk of the phone number at 97, which is above%',
                   u.remedy IS NOT NULL) FROM otp.unsent_jobs u
            """)
        #expect(try simulator.inbox(to: "+966590700097").isEmpty)
        try await database.becomes(before, score)
        // The score is remembered for a day: the claim itself ends the next text.
        try await database.text("UPDATE otp.limits SET max_sends = 100 WHERE scope = 'phone'")
        try await database.text("SELECT otp.request('risky too', '+966590700097', client_ip => '198.51.101.1')")
        try await database.becomes("2", "SELECT count(*) FROM otp.unsent_jobs WHERE state = 'limited'")
        #expect(try simulator.stats().lookups == 3)

        try simulator.faults(#"{"next": [{"fault": "never", "on": "lookup"}]}"#)
        try await database.text("SELECT otp.request('slow', '+966551113333', client_ip => '198.51.102.1')")
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs")
        #expect(try simulator.inbox(to: "+966551113333").count == 1)
        try await database.becomes("1", "SELECT checks FROM otp.risk_check_counts WHERE outcome = 'failed'")
        try await otpd.says("a risk check of a phone number failed; its text is sent without one")
        for secret in ["590700097", "551113333", "PhoneNumbers"] {
            #expect(!otpd.errors.contains(secret), "a secret was logged")
        }
    }
}
