import TestSupport
import Testing

/// Codes that go by several channels, with the real daemon: from one step of a route to the next.
@Suite(.database) struct RouteTests {
    let database = TestScope.current?.database

    /// Undelivered as SMS, and as such alone.
    private static let noSMS = "+966590530003"
    /// Has no WhatsApp.
    private static let noWhatsApp = "+966590363024"
    /// Fails by SMS, WhatsApp and call.
    private static let noPhone = "+966590130003"
    /// Does not answer calls.
    private static let noAnswer = "+966590400002"

    /// Senders, a WhatsApp template, and receipts that are believed.
    private static let everything = """
        UPDATE otp.countries SET receipts_reliable = true;
        UPDATE otp.templates SET content_sid = 'HX00000000000000000000000000000001';
        INSERT INTO otp.purposes (purpose, allows_email) VALUES ('phone_verification', true);
        INSERT INTO otp.channel_senders (channel, sender) VALUES ('whatsapp', '+12015550101'), ('call', '+12015550102');
        """

    /// Makes a route of the channels, each of which begins only after a failure, or after `wait`.
    private func route(_ channels: [String], wait: String? = nil) async throws {
        let rows = channels.enumerated().map { index, channel in
            "(\(index + 1), '\(channel)', \(index == 0 ? "NULL" : wait.map { "'\($0)'" } ?? "NULL"))"
        }
        try await database?.text(
            """
            \(Self.everything)
            DELETE FROM otp.routes;
            INSERT INTO otp.routes (step, channel, wait) VALUES \(rows.joined(separator: ", "));
            """)
    }

    private func simulator(_ arguments: [String] = []) async throws -> Simulator {
        try await Simulator.start(arguments: ["--smtp-port", "0"] + arguments)
    }

    @discardableResult
    private func run(_ simulator: Simulator, _ changes: [String: String?] = [:]) async throws -> Program {
        let mail = ["OTPD_SMTP_URL": simulator.mailURL, "OTPD_MAIL_FROM": "Mgask <codes@example.com>"]
        return try await Otpd.run(simulator, mail.merging(changes) { $1 })
    }

    /// Requests a code, and returns the verification's id.
    @discardableResult
    private func request(_ number: String, _ subject: String, _ more: String = "") async throws -> String {
        let database = try #require(database)
        return try await database.text(
            "SELECT verification_id FROM otp.request('\(subject)', '\(number)', 'en'\(more.isEmpty ? "" : ", \(more)"))"
        )
    }

    // MARK: From one step to the next

    @Test func eachFailureBeginsTheNextStepWithTheSameCode() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["sms", "whatsapp", "call", "email"])
        try await run(simulator)
        try await request(Self.noPhone, "s", "email => 's@example.com'")
        try await database.becomes(
            """
            sms|accepted|undelivered|The same code is sent by whatsapp as send job
            whatsapp|accepted|undelivered|The same code is sent by call as send job
            call|accepted|failed|The same code is sent by email as send job
            email|accepted|sent|
            """, within: .seconds(60),
            """
            SELECT channel, job_state, message_status, regexp_replace(follow_up, ' [0-9]+[.]$', '')
              FROM otp.delivery_status ORDER BY send_job_id
            """)
        let inbox = try simulator.inbox()
        try #require(inbox.count == 4, "\(inbox)")
        #expect(inbox.map(\.channel) == ["email", "call", "whatsapp", "sms"])
        #expect(Set(inbox.map(\.code)).count == 1 && inbox[0].code.count == 6)
        #expect(try await database.text("SELECT otp.verify('s', '\(inbox[0].code)')") == "t")
        #expect(try await database.text("SELECT otp.verified_phones('s')") == "", "an e-mail proves no phone")
    }

    @Test func afterItsWaitTheNextStepBegins() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["sms", "call"], wait: "5 seconds")
        try await run(simulator)
        try await request("0501234567", "s")
        try await database.becomes(
            "sms|delivered,call|completed", within: .seconds(60),
            "SELECT string_agg(channel || '|' || message_status, ',' ORDER BY send_job_id) FROM otp.delivery_status")
        let inbox = try simulator.inbox()
        try #require(inbox.count == 2, "\(inbox)")
        #expect(inbox.map(\.channel) == ["call", "sms"] && inbox[0].code == inbox[1].code)
        let requested = try await database.text(
            "SELECT (extract(epoch FROM requested_at) * 1000000)::bigint FROM otp.messages WHERE channel = 'sms'")
        #expect(inbox[0].receivedAt - (try #require(Int(requested))) >= 5_000_000, "not before its wait")
        #expect(try await database.text("SELECT otp.verify('s', '\(inbox[0].code)')") == "t")
        #expect(try await database.text("SELECT e164 FROM otp.verified_phones('s')") == "+966501234567")
        #expect(try await database.text("SELECT count(*) FROM otp.step_waits") == "0")
    }

    @Test func aVerifiedCodeTakesNoFurtherStep() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["sms", "call"], wait: "5 seconds")
        try await run(simulator)
        try await request("0501234567", "first")
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
        let code = try #require(try simulator.inbox().first?.code)
        #expect(try await database.text("SELECT otp.verify('first', '\(code)')") == "t")
        // A second code whose step begins later: by then the first one's would have.
        try await request("0501234568", "second")
        try await database.becomes(
            "first sms\nsecond sms\nsecond call", within: .seconds(60),
            "SELECT subject || ' ' || channel FROM otp.delivery_status ORDER BY send_job_id")
    }

    @Test func aStepTakesOverFromAJobThatWaits() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["sms", "email"], wait: "5 seconds")
        try simulator.faults(#"{"rates": {"429": 1}}"#)
        try await run(simulator)
        try await request("0501234567", "s", "email => 's@example.com'")
        try await database.becomes(
            "sms|canceled|The next step of the route took over.|email|accepted|", within: .seconds(60),
            """
            SELECT string_agg(concat_ws('|', channel, job_state, coalesce(left(error, 37), '')), '|' ORDER BY send_job_id)
              FROM otp.delivery_status
            """)
        #expect(try simulator.inbox().map(\.channel) == ["email"])
    }

    @Test func aUserWithoutWhatsAppGetsAText() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["whatsapp", "sms"])
        try await run(simulator)
        try await request(Self.noWhatsApp, "s")
        try await database.becomes(
            "whatsapp|undelivered|63024,sms|delivered|", within: .seconds(60),
            """
            SELECT string_agg(concat_ws('|', channel, message_status, coalesce(error_code::text, '')), ',' ORDER BY send_job_id)
              FROM otp.delivery_status
            """)
        let inbox = try simulator.inbox(to: Self.noWhatsApp)
        try #require(inbox.count == 2, "\(inbox)")
        #expect(inbox.map(\.channel) == ["sms", "whatsapp"] && inbox[0].code == inbox[1].code)
        #expect(
            inbox[1].body == "\(inbox[1].code) is your verification code. For your security, do not share this code.")
        #expect(inbox[1].from == "whatsapp:+12015550101")
    }

    @Test func aCallThatNobodyAnswersIsFollowedByAText() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["call", "sms"])
        try await run(simulator)
        try await request(Self.noAnswer, "s")
        try await database.becomes(
            "call|no-answer,sms|delivered", within: .seconds(60),
            "SELECT string_agg(channel || '|' || message_status, ',' ORDER BY send_job_id) FROM otp.delivery_status")
        let inbox = try simulator.inbox(to: Self.noAnswer)
        try #require(inbox.count == 2, "\(inbox)")
        #expect(inbox.map(\.code) == [inbox[0].code, inbox[0].code] && inbox[1].from == "+12015550102")
    }

    /// Twilio has it, and its answer was lost: it is found in the list, and not sent again.
    @Test(arguments: ["whatsapp", "call"]) func aLostAnswerIsFoundAndNotSentAgain(channel: String) async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await database.text(Self.everything)
        try await run(simulator)
        let number = "+966590200002"
        try await request(number, "s", "channel => '\(channel)'")
        try await database.becomes(
            "\(channel)|accepted", within: .seconds(100), "SELECT channel, job_state FROM otp.delivery_status")
        #expect(try simulator.inbox(to: number).map(\.channel) == [channel])
        let sid = try await database.text("SELECT message_sid FROM otp.messages")
        #expect(try simulator.inbox(to: number).map(\.sid) == [sid])
    }

    // MARK: Calls

    @Test func callsKeepToTheRateOfTheirRow() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await database.text(Self.everything)
        try await database.text("DELETE FROM otp.limits")
        try await run(simulator)
        for index in 0..<6 { try await request("050123450\(index)", "s\(index)", "channel => 'call'") }
        try await request("0501234510", "text")
        try await database.becomes(
            "call|6|completed\nsms|1|delivered", within: .seconds(60),
            "SELECT channel, count(*), string_agg(DISTINCT coalesce(message_status, job_state), ',') FROM otp.delivery_status GROUP BY 1 ORDER BY 1"
        )
        let times = try simulator.inbox().filter { $0.channel == "call" }.map(\.receivedAt)
        try #require(times.count == 6)
        #expect(times[0] - times[5] > 3_000_000, "six calls at one a second: \(times)")
        #expect(
            try simulator.inbox().firstIndex { $0.channel == "sms" } != 0, "a text does not wait for calls")
    }

    @Test func aCallThatHasNotRungIsCanceledWithItsCode() async throws {
        let database = try #require(database)
        let simulator = try await simulator(["--calls-per-second", "0.01"])
        try await database.text(Self.everything)
        try await run(simulator)
        try await request("0501234501", "first", "channel => 'call'")
        try await request("0501234502", "second", "channel => 'call'")
        try await database.becomes("2", within: .seconds(60), "SELECT count(*) FROM otp.messages")
        let waiting = try #require(try simulator.inbox(to: "+966501234502").first)
        #expect(waiting.status == "queued")
        #expect(try await database.text("SELECT otp.verify('second', '\(waiting.code)')") == "t")
        try await database.becomes(
            "canceled", within: .seconds(60), "SELECT message_status FROM otp.delivery_status WHERE subject = 'second'")
        #expect(try simulator.inbox(to: "+966501234502").map(\.status) == ["canceled"])
    }

    // MARK: E-mail

    @Test func anEmailHasTheCodeInTheUsersLanguage() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await database.text(Self.everything)
        try await run(simulator)
        let verification = try await database.text(
            """
            SELECT verification_id
              FROM otp.request('s', '0501234567', 'ar', channel => 'email', email => 'Müller@bücher.example')
            """)
        try await database.becomes("email|accepted", "SELECT channel, job_state FROM otp.delivery_status")
        let mail = try #require(try simulator.inbox().first)
        #expect(mail.channel == "email" && mail.to.contains("ller@") && mail.from.contains("codes@example.com"))
        #expect(mail.html?.contains(#"dir="rtl""#) == true && mail.body.contains(mail.code) && mail.code.count == 6)
        #expect(try await database.text("SELECT otp.channels_used('\(verification)', 's')") == "{email}")
        #expect(try await database.text("SELECT otp.verify('s', '\(mail.code)')") == "t")
        #expect(try await database.text("SELECT otp.verified_phones('s')") == "")
    }

    /// The address, what becomes of its job, and how many e-mails the server keeps.
    @Test(arguments: [
        ("rcpt-550", "failed|1|", 0), ("rcpt-450", "accepted|2|", 1), ("final-451", "accepted|2|", 1),
        ("final-554", "failed|1|", 0), ("close-after", "failed|1|unknown", 1), ("close-before", "failed|1|unknown", 0),
    ])
    func aMailServersAnswerDecides(address: String, end: String, kept: Int) async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await database.text(Self.everything)
        try await run(simulator, ["OTPD_RESEND_UNKNOWN": "never"])
        try await request("0501234567", "s", "channel => 'email', email => '\(address)@example.com'")
        try await database.becomes(
            end, within: .seconds(110),
            """
            SELECT d.job_state, d.attempts, CASE u.error_class WHEN 'unknown' THEN 'unknown' ELSE '' END
              FROM otp.delivery_status d LEFT JOIN otp.unsent_jobs u ON u.send_job_id = d.send_job_id
             WHERE d.job_state IN ('accepted', 'failed')
            """)
        #expect(try simulator.inbox().count == kept)
        #expect(
            try await database.text(
                "SELECT count(*) FROM otp.delivery_status WHERE job_state = 'failed' AND remedy IS NULL") == "0")
    }

    @Test func aMailServerThatIsAwayHoldsUpNoText() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await database.text(Self.everything)
        try await run(simulator, ["OTPD_SMTP_URL": "smtp://127.0.0.1:1"])
        try await request("0501234567", "mail", "channel => 'email', email => 's@example.com'")
        try await database.becomes(
            "paused", "SELECT state FROM otp.worker_status WHERE channels = '{email}'")
        try await request("0501234568", "text")
        try await database.becomes(
            "delivered", "SELECT message_status FROM otp.delivery_status WHERE subject = 'text'")
        #expect(try await database.text("SELECT state FROM otp.worker_status WHERE channels <> '{email}'") == "running")
    }

    // MARK: What cannot be used

    @Test func aChannelThatNoWorkerServesIsToldAndPassed() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["email", "sms"])
        try await run(simulator, ["OTPD_SMTP_URL": nil, "OTPD_MAIL_FROM": nil])
        try await database.becomes(
            "No running worker can send by email: set OTPD_SMTP_URL and OTPD_MAIL_FROM.",
            "SELECT problem FROM otp.route_status WHERE problem IS NOT NULL")
        let doctor = try await Otpd.command(["doctor"], environment: Otpd.environment(simulator.url))
        #expect(doctor.code != 0 && doctor.output.contains("Step 1 (email) of the route for all codes cannot be used."))
        try await request("0501234567", "s", "email => 's@example.com'")
        try await database.becomes(
            "email|failed|No running worker can send by email.,sms|accepted|", within: .seconds(90),
            """
            SELECT string_agg(concat_ws('|', channel, job_state, coalesce(error, '')), ',' ORDER BY send_job_id)
              FROM otp.delivery_status
            """)
    }

    /// 63016: every message by this template would fail.
    @Test func aWrongTemplatePausesItsChannelAlone() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await route(["whatsapp", "sms"])
        try await run(simulator)
        try await request("+966590363016", "s")
        try await database.becomes("channel whatsapp", within: .seconds(60), "SELECT name FROM otp.pauses")
        try await database.becomes(
            "sms|delivered", within: .seconds(60),
            "SELECT channel, message_status FROM otp.delivery_status WHERE message_status = 'delivered'")
    }

    @Test func anOperatorPausesOneChannel() async throws {
        let database = try #require(database)
        let simulator = try await simulator()
        try await database.text(Self.everything)
        try await run(simulator)
        let paused = try await Otpd.command(["pause", "--channel", "call", "--reason", "a wrong number calls"])
        #expect(paused.code == 0, "\(paused.errors)")
        try await request("0501234567", "call", "channel => 'call'")
        try await request("0501234568", "text")
        try await database.becomes(
            "call|queued|channel call\ntext|accepted|", within: .seconds(60),
            """
            SELECT d.subject, d.job_state, j.hold_key FROM otp.delivery_status d
              LEFT JOIN otp.send_jobs j ON j.id = d.send_job_id ORDER BY 1
            """)
        #expect((try await Otpd.command(["resume", "--channel", "call"])).code == 0)
        try await database.becomes(
            "completed", within: .seconds(60), "SELECT message_status FROM otp.delivery_status WHERE subject = 'call'")
    }
}
