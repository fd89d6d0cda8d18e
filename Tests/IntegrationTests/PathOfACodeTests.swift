import TestSupport
import Testing

/// From an INSERT by psql to the phone, and back to `otp.verify`.
@Suite(.database) struct PathOfACodeTests {
    let database = TestScope.current?.database

    /// Spellings of one Saudi number, which all become `+966501234567`.
    static let spellings = [
        "0501234567", "501234567", "966501234567", "+966501234567", "00966501234567", "+966 (0)50 123-4567",
        "٠٥٠١٢٣٤٥٦٧", "\u{200E}050 123 4567\u{200F}", "050-123-4567", "\u{202A}+966501234567\u{202C}", "۰۵۰۱۲۳۴۵۶۷",
    ]

    private func insert(_ number: String, subject: String, locale: String = "en", code: String? = nil) async throws {
        let answer = try await Psql.run(
            """
            WITH v AS (INSERT INTO otp.verifications (subject, phone_number, locale, code)
                VALUES ('\(subject)', '\(number)', '\(locale)', \(code.map { "'\($0)'" } ?? "NULL")) RETURNING id)
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v RETURNING id;
            """)
        try #require(answer.code == 0, "\(answer.errors)")
    }

    @Test func everySpellingSendsOneMessageToTheSameNumber() async throws {
        let database = try #require(database)
        try await database.text("DELETE FROM otp.limits")
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        for (index, spelling) in Self.spellings.enumerated() {
            try await insert(spelling, subject: "s\(index)", locale: index.isMultiple(of: 2) ? "en" : "ar")
        }
        let count = Self.spellings.count
        try await database.becomes(
            "\(count)|\(count)", "SELECT count(*), count(DISTINCT message_sid) FROM otp.messages")
        let inbox = try simulator.inbox()
        #expect(inbox.count == count)
        #expect(inbox.allSatisfy { $0.to == "+966501234567" && $0.from == "+15005550006" })
        for (index, message) in inbox.reversed().enumerated() where message.code.count == 6 {
            let subject = try await database.text(
                "SELECT subject FROM otp.delivery_status WHERE message_sid = '\(message.sid)'")
            let number = try #require(Int(subject.dropFirst()), "message \(index)")
            let expected =
                number.isMultiple(of: 2)
                ? "Your Mgask verification code is: \(message.code). Valid for 5 minutes."
                : "رمز التحقق الخاص بك هو: \(message.code). صالح لمدة 5 دقائق."
            #expect(message.body == expected)
            #expect(try await database.text("SELECT otp.verify('\(subject)', '\(message.code)')") == "t")
            #expect(try await database.text("SELECT otp.verify('\(subject)', '\(message.code)')") == "f")
        }
        #expect(inbox.allSatisfy { $0.code.count == 6 })
        // Polled, with the price that Twilio reports: 70 UCS-2 characters a segment in Arabic.
        try await database.becomes(
            "delivered|t|t|\(count)", within: .seconds(30),
            """
            SELECT DISTINCT ON (1) message_status, bool_and(price < 0 AND price_unit = 'USD'),
                   bool_and(segments = 1 AND final_at >= accepted_at), count(*)
              FROM otp.delivery_status GROUP BY 1
            """)
        try await database.becomes(
            "0|0|0|\(count)|\(count)", "SELECT queued, sending, unknown, accepted_1m, accepted_1h FROM otp.queue_status"
        )
    }

    @Test func aCodeArrivesAtOnceAndKeepsItsLeadingZeros() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await insert("0501234567", subject: "a", code: "004321")
        let message = try await eventually("a message", within: .seconds(5)) { try simulator.inbox().first }
        #expect(message.body == "Your Mgask verification code is: 004321. Valid for 5 minutes.")
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        // From the commit to Twilio's answer takes milliseconds. A poll would take longer than this on average.
        let latency = try await database.text(
            "SELECT extract(epoch FROM accepted_at - requested_at) < 0.4 FROM otp.delivery_status")
        #expect(latency == "t")
        #expect(try await database.text("SELECT otp.verify('a', '4321')") == "f")
        #expect(try await database.text("SELECT otp.verify('a', '004321')") == "t")
        #expect(try await database.text("SELECT otp.verify('a', '004321')") == "f")
        #expect(try await database.text("SELECT subject, e164 FROM otp.verified_phones") == "a|+966501234567")
    }

    @Test(arguments: [
        "12", "abc", "0112345678", "05012345678901", "+999501234567", "050123456x", "0501234567 ext 5", "",
    ])
    func whatCannotBeANumberIsRefusedAtOnce(number: String) async throws {
        let database = try #require(database)
        let answer = try await Psql.run(
            "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '\(number)')")
        #expect(answer.code == 3)
        #expect(answer.errors.contains("OT002"), "\(answer.errors)")
        #expect(try await database.text("SELECT count(*) FROM otp.verifications") == "0")
    }

    @Test func aRequestIsRolledBackWithItsTransaction() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.text("BEGIN; SELECT * FROM otp.request('a', '0501234567', locale => 'ar'); ROLLBACK")
        try await database.text("SELECT * FROM otp.request('b', '0501234568', locale => 'ar')")
        try await database.becomes("b|accepted", "SELECT subject, job_state FROM otp.delivery_status")
        #expect(try simulator.inbox().map(\.to) == ["+966501234568"])
    }
}
