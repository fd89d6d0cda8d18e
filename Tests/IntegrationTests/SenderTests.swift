import OTP
import TestSupport
import Testing
import Twilio

/// What operators write into `otp.countries` and `otp.templates`, down to the message that Twilio gets.
@Suite(.database) struct SenderTests {
    let database = TestScope.current?.database

    @Test func aCountrysSenderIsUsedFromTheNextMessageOn() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("INSERT INTO otp.countries (region) VALUES ('EG')")
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        try await database.text("UPDATE otp.countries SET sender = 'Mgask' WHERE region = 'SA'")
        try await otpd.says("were read anew")
        try await database.enqueue("0501234568")
        try await database.enqueue("+201001234567")
        try await database.becomes(
            "EG|+15005550006\nSA|+15005550006\nSA|Mgask",
            """
            SELECT v.country, m.sender
              FROM otp.messages m JOIN otp.verifications v ON v.id = m.verification_id ORDER BY 1, 2
            """)
        #expect(try simulator.inbox(to: "+966501234567").map(\.from) == ["+15005550006"])
        #expect(try simulator.inbox(to: "+966501234568").map(\.from) == ["Mgask"])
        #expect(try simulator.inbox(to: "+201001234567").map(\.from) == ["+15005550006"])
    }

    @Test func aSenderThatIsNoneHoldsUpItsCountryAndNoOther() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        // Around the trigger, as a restore may.
        try await database.text(
            """
            ALTER TABLE otp.countries DISABLE TRIGGER before_write;
            INSERT INTO otp.countries (region, sender) VALUES ('EG', 'Twelve-Letters');
            ALTER TABLE otp.countries ENABLE TRIGGER before_write
            """)
        try await database.enqueue("+201001234567")
        try await database.enqueue("0501234568")
        try await Otpd.run(simulator)
        try await database.becomes(
            "queued|t|t\naccepted||",
            """
            SELECT job_state, error LIKE '%EG%otp.countries%', remedy LIKE '%otp.countries.sender%'
              FROM otp.delivery_status ORDER BY 1 DESC
            """)
        #expect(try simulator.inbox().map(\.to) == ["+966501234568"])
        // The operator mends it: what waited is sent.
        try await database.text("UPDATE otp.countries SET sender = 'Mgask' WHERE region = 'EG'")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        #expect(try simulator.inbox(to: "+201001234567").map(\.from) == ["Mgask"])
    }

    /// As of a message that was found in Twilio's list, or told of by a callback first.
    @Test func aSenderThatIsNotKnownIsAskedFor() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes("delivered", within: .seconds(30), "SELECT message_status FROM otp.delivery_status")
        try await database.text(
            "UPDATE otp.messages SET sender = NULL, status = 'sent', final_at = NULL, next_poll_at = now()")
        try await database.becomes("+15005550006", "SELECT sender FROM otp.messages")
        try await database.becomes("SA|+15005550006|1", "SELECT country, sender, messages FROM otp.spend_daily")
    }

    @Test func theLastLineOfAMessageIsForWebOTP() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("UPDATE otp.templates SET web_otp_host = 'mgask.example' WHERE locale = 'en'")
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567", subject: "a", code: "004321")
        try await database.enqueue("0501234568", locale: "ar", code: "004322")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        #expect(
            try simulator.inbox(to: "+966501234567").map(\.body)
                == ["Your Mgask verification code is: 004321. Valid for 5 minutes.\n@mgask.example #004321"])
        #expect(try simulator.inbox(to: "+966501234568").first?.body.contains("@") == false)
        #expect(try await database.text("SELECT otp.verify('a', '004321')") == "t")
    }

    /// What the tables take is just what the daemon can use.
    @Test func tableAndDaemonAgree() async throws {
        let database = try #require(database)
        let senders = [
            "+15005550006", "+1234567", "+123456", "+0123456789", "+123456789012345", "+1234567890123456", "+1500555x",
            "12", "123", "12345678", "123456789", "A", "1", "Mgask", "My App", "My-App", "My  App", " Mgask", "Mgask ",
            "1234 567", "ElevenChars", "TwelveLetter", "Ünï", "ſ", "K", "Mgask\n", "a\nb", "MGask",
            "MG0123456789abcdef0123456789abcdef", "MG0123456789abcdef0123456789ABCDEF",
            "MG0123456789abcdef0123456789abcde", "MG0123456789abcdef0123456789abcdeg", "", " ", "٠١٢٣", "123\n",
        ]
        for sender in senders {
            let taken = await takes("UPDATE otp.countries SET sender = '\(sender)'", database)
            #expect(taken == ((try? Sender(country: sender)) != nil), "\(sender)")
        }
        let longest = String(repeating: "abcdefg.", count: 30) + "abcde.example"
        let hosts = [
            "example.com", "a.b.example", "localhost", "Example.com", "example.com.", ".example.com", "a..example",
            "example.com:443", "https://example.com", "127.0.0.1", "-a.example", "a-.example", "a.-example",
            "a.1example",
            "xn--a.xn--b", "a_b.example", "example.com\n", "", "é.example", longest, "a" + longest,
            String(repeating: "a", count: 63) + ".example", String(repeating: "a", count: 64) + ".example",
        ]
        for host in hosts {
            let taken = await takes("UPDATE otp.templates SET web_otp_host = '\(host)'", database)
            #expect(taken == (WebOTPHost(host) != nil), "\(host)")
        }
    }

    private func takes(_ sql: String, _ database: TestDatabase) async -> Bool {
        (try? await database.text(sql)) != nil
    }
}
