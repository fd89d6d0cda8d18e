import Glibc
import TestSupport
import Testing

/// Twilio learns which codes were used, if an operator wants it: with the real daemon and the simulator.
@Suite(.database) struct FeedbackTests {
    let database = TestScope.current?.database

    private static let counts = """
        SELECT string_agg(outcome || ' ' || codes, ',' ORDER BY outcome) FROM otp.feedback_counts WHERE codes > 0
        """
    private static let due = "SELECT count(*) FROM otp.feedback_due"

    private func turnOn(_ isOn: Bool = true) async throws {
        try await database?.text("UPDATE otp.settings SET message_feedback = \(isOn)")
    }

    /// Sends a code, and returns it once Twilio has accepted it.
    private func send(_ number: String, _ subject: String, _ simulator: Simulator) async throws -> Simulator.Message {
        let database = try #require(database)
        let before = try simulator.inbox(to: number).count
        try await database.text("SELECT verification_id FROM otp.request('\(subject)', '\(number)', 'en')")
        try await database.becomes(
            "0",
            "SELECT count(*) FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id"
                + " WHERE v.subject = '\(subject)'")
        let inbox = try simulator.inbox(to: number)
        #expect(inbox.count == before + 1)
        return try #require(inbox.first)
    }

    private func verify(_ subject: String, _ message: Simulator.Message) async throws {
        #expect(try await database?.text("SELECT otp.verify('\(subject)', '\(message.code)')") == "t")
    }

    private func feedback(_ simulator: Simulator) throws -> [String: String?] {
        Dictionary(uniqueKeysWithValues: try simulator.inbox().map { ($0.sid, $0.feedback) })
    }

    @Test func usedCodesAreConfirmedAndOthersAreNot() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await turnOn()
        let otpd = try await Otpd.run(simulator)
        let unused = try await send("+966501234561", "unused", simulator)
        let used = try await send("+966501234572", "used", simulator)
        #expect(unused.feedback == "expected" && used.feedback == "expected")
        #expect(try await database.text("SELECT otp.verify('unused', '000')") == "f")
        try await verify("used", used)
        try await database.becomes("confirmed 1", Self.counts)
        #expect(try await database.text(Self.due) == "0")
        #expect(try feedback(simulator) == [unused.sid: "expected", used.sid: "confirmed"])
        #expect(try simulator.stats().feedbacks == 1)
        for secret in ["501234561", "501234572", used.code, unused.code] {
            #expect(!otpd.errors.contains(secret), "a secret was logged")
        }
    }

    /// The newest text that arrived carried the code to its user.
    @Test func ofSeveralMessagesOneIsConfirmed() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await turnOn()
        try await Otpd.run(simulator)
        let first = try await send("+966501234561", "s", simulator)
        let second = try await send("+966501234561", "s", simulator)
        #expect(first.code == second.code)
        try await database.becomes("2", "SELECT count(*) FROM otp.messages WHERE status = 'delivered'")
        try await verify("s", second)
        try await database.becomes("confirmed 1", Self.counts)
        #expect(try feedback(simulator) == [first.sid: "expected", second.sid: "confirmed"])
    }

    /// The setting is read while otpd runs.
    @Test func withoutTheSettingTwilioIsToldNothing() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let silent = try await send("+966501234561", "silent", simulator)
        #expect(silent.feedback == nil)
        try await verify("silent", silent)
        #expect(try await database.text(Self.due) == "0")
        try await turnOn()
        var number = 966_501_234_600
        /// Sends codes until one is sent as `isOn` says: workers learn of the setting within a second.
        func sent(_ isOn: Bool) async throws -> (String, Simulator.Message) {
            try await eventually("a message with the setting \(isOn)") {
                number += 1_007
                let subject = "s\(number)"
                let message = try await send("+\(number)", subject, simulator)
                return (message.feedback != nil) == isOn ? (subject, message) : nil
            }
        }
        let (subject, message) = try await sent(true)
        try await verify(subject, message)
        try await database.becomes("confirmed 1", Self.counts)
        try await turnOn(false)
        let (last, quiet) = try await sent(false)
        try await verify(last, quiet)
        #expect(try await database.text(Self.due) == "0")
        #expect(try simulator.stats().feedbacks == 1)
    }

    @Test(arguments: [
        #"{"fault": "429", "retry_after": 1}"#, #"{"fault": "503"}"#, #"{"fault": "500"}"#,
        #"{"fault": "read_then_close"}"#, #"{"fault": "refuse", "code": 20003}"#, #"{"fault": "blocked"}"#,
    ])
    func anAnswerThatTakesNothingIsFollowedByAnotherTry(fault: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await turnOn()
        let otpd = try await Otpd.run(simulator)
        let message = try await send("+966501234561", "s", simulator)
        try simulator.faults(#"{"next": [\#(fault.dropLast()), "on": "feedback"}]}"#)
        try await verify("s", message)
        try await database.becomes("1|t", "SELECT tries, due_at > now() FROM otp.feedback_due")
        #expect(try await database.text(Self.counts) == "")
        // Sends go on meanwhile.
        let other = try await send("+966501299999", "other", simulator)
        #expect(other.feedback == "expected" && !otpd.errors.contains("paused: nothing is sent"))
        if fault.contains("20003") { try await otpd.says("Twilio refuses feedback about messages") }
        try await database.text("UPDATE otp.feedback_due SET due_at = now()")
        try await database.becomes("confirmed 1", Self.counts)
        #expect(try feedback(simulator) == [message.sid: "confirmed", other.sid: "expected"])
    }

    @Test func feedbackThatTwilioDoesNotTakeEnds() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await turnOn()
        let otpd = try await Otpd.run(simulator)
        let message = try await send("+966501234561", "s", simulator)
        try simulator.faults(#"{"next": [{"fault": "refuse", "code": 20404, "on": "feedback"}]}"#)
        try await verify("s", message)
        try await database.becomes("unavailable 1", Self.counts)
        #expect(try await database.text(Self.due) == "0")
        try await otpd.says("Twilio takes no feedback for messages whose codes were used")
        // A code that was never sent.
        try await database.text(
            "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('unsent', '0501234588', '246810')")
        #expect(try await database.text("SELECT otp.verify('unsent', '246810')") == "t")
        try await database.becomes("no_message 1,unavailable 1", Self.counts)
        #expect(try simulator.stats().feedbacks == 0)
    }

    /// A code that was verified while no worker ran, and one whose worker was killed while it told Twilio.
    @Test func nothingIsLostWithAWorker() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await turnOn()
        let first = try await Otpd.run(simulator)
        let one = try await send("+966501234561", "one", simulator)
        let two = try await send("+966501299999", "two", simulator)
        try simulator.faults(#"{"next": [{"fault": "never", "on": "feedback"}]}"#)
        try await verify("one", one)
        _ = try await eventually("a request that is never answered") {
            try simulator.stats().faults["never"] == 1 ? true : nil
        }
        first.signal(SIGKILL)
        _ = try await first.exit()
        try await verify("two", two)
        let leased = "SELECT count(*), count(*) FILTER (WHERE due_at > now()) FROM otp.feedback_due"
        #expect(try await database.text(leased) == "2|1")
        // As if the lease of the first one's worker had ended.
        try await database.text("UPDATE otp.feedback_due SET due_at = now()")
        try await Otpd.run(simulator)
        try await database.becomes("confirmed 2", Self.counts)
        #expect(try feedback(simulator) == [one.sid: "confirmed", two.sid: "confirmed"])
        #expect(try await database.text(Self.due) == "0")
    }

    @Test func nothingIsToldWhileEverythingIsPaused() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await turnOn()
        let otpd = try await Otpd.run(simulator)
        let message = try await send("+966501234561", "s", simulator)
        #expect(try await Otpd.command(["pause", "--all", "--reason", "test"]).code == 0)
        try await otpd.says("a pause has begun: its jobs wait")
        try await verify("s", message)
        try await stays("nothing is told", for: .seconds(7)) { try simulator.stats().feedbacks == 0 }
        #expect(try await database.text(Self.due) == "1")
        #expect(try await Otpd.command(["resume", "--all"]).code == 0)
        try await database.becomes("confirmed 1", Self.counts)
    }
}
