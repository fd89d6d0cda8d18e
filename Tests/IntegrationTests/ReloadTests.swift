import Glibc
import Synchronization
import TestSupport
import Testing

/// SIGHUP: otpd reads the settings' files again.
@Suite(.database) struct ReloadTests {
    let database = TestScope.current?.database

    /// A secret's file, as an operator edits it. It is in the run's folder, and deleted with it.
    private struct SecretFile {
        let path: String
        private static let serial = Atomic(0)

        init(_ text: String) throws {
            path = try "\(ScratchFolder.shared.get())/secret-\(Self.serial.add(1, ordering: .relaxed).newValue)"
            try write(text)
        }

        func write(_ text: String) throws { try Files.write(text, to: path) }
        func remove() { unlink(path) }
    }

    private static func settings(
        _ token: SecretFile, _ others: [String: String?] = [:]
    ) -> [String: String?] {
        var settings: [String: String?] = ["TWILIO_AUTH_TOKEN": nil, "TWILIO_AUTH_TOKEN_FILE": token.path]
        for (name, value) in others { settings[name] = value }
        return settings
    }

    @Test func aTokenThatIsCorrectedEndsThePause() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let socket = try NotifySocket()
        let token = try SecretFile("wrong\n")
        let otpd = try await Otpd.run(simulator, Self.settings(token, ["NOTIFY_SOCKET": socket.name]))
        try await database.enqueue("0501234567")
        try await database.becomes(
            "paused|Authentication failed: Twilio does not accept the credentials.",
            "SELECT state, reason FROM otp.worker_status")

        // Another wrong token: it is used, and refused again, which is logged.
        try token.write("wrong-too\n")
        otpd.signal(SIGHUP)
        try await otpd.says("reloaded Twilio's credentials: all further requests use them")
        _ = try await eventually("a second pause in the log") {
            otpd.errors.split(separator: "\n").count { $0.contains("paused: nothing is sent") } == 2 ? true : nil
        }

        try token.write(Simulator.authToken + "\n")
        let asked = ContinuousClock.now
        otpd.signal(SIGHUP)
        try await database.becomes("accepted", within: .seconds(10), "SELECT job_state FROM otp.delivery_status")
        print("resumed after SIGHUP: \(ContinuousClock.now - asked)")
        try await database.becomes("running|", "SELECT state, reason FROM otp.worker_status")
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        #expect(try simulator.inbox().map(\.to) == ["+966501234567"])
        #expect(try simulator.stats().created == 1)

        let reloads = socket.messages.filter { $0.hasPrefix("RELOADING=1\n") || $0 == "READY=1" }
        #expect(reloads.count == 4)
        for (begin, end) in zip(reloads, reloads.dropFirst()).enumerated().filter({ $0.offset % 2 == 0 }).map(\.element)
        {
            let time = try #require(begin.split(separator: "\n").last)
            #expect(time.hasPrefix("MONOTONIC_USEC=") && Int64(time.dropFirst(15)) ?? 0 > 0)
            #expect(end == "READY=1")
        }
    }

    /// Twilio accepts only the new token: sends and reads use it.
    @Test func aRotatedTokenIsUsedByEveryRequest() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let token = try SecretFile(Simulator.authToken)
        let otpd = try await Otpd.run(simulator, Self.settings(token))
        try await database.enqueue("0501234567")
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        try simulator.faults(#"{"auth_token": "rotated"}"#)
        try token.write("rotated")
        otpd.signal(SIGHUP)
        try await otpd.says("reloaded Twilio's credentials: all further requests use them")
        try await database.enqueue("0501234568")
        try await database.becomes(
            "2", "SELECT count(*) FROM otp.delivery_status WHERE message_status = 'delivered'")
        #expect(try simulator.stats().unauthorized == 0)
    }

    /// Callbacks are verified with the new token too, in `otpd run` and in the receiver alone.
    @Test func aRotatedTokenSignsCallbacks() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let token = try SecretFile(Simulator.authToken)
        let otpd = try await Otpd.runReceiving(simulator, Self.settings(token))
        // Polls fail, so statuses come by callback alone.
        try simulator.faults(
            #"{"auth_token": "rotated", "next": [{"fault": "500", "on": "fetch", "count": 1000000}]}"#)
        try token.write("rotated")
        otpd.signal(SIGHUP)
        try await otpd.says("status callbacks are checked against it from now on")
        try await otpd.says("reloaded Twilio's credentials")
        try await database.enqueue("0501234567")
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")

        let (alone, port) = try await Otpd.receiver(Self.settings(token))
        var callback = Callback(sid: Callback.sid(1), status: "sent", token: "again")
        #expect(try callback.post(to: port) == 403)
        try token.write("again")
        alone.signal(SIGHUP)
        try await alone.says("status callbacks are checked against it from now on")
        #expect(try callback.post(to: port) == 200)
        callback.token = "rotated"
        #expect(try callback.post(to: port) == 403)
    }

    /// A request with the old token is refused after the reload. That must not pause the new token.
    @Test func anAnswerToTheOldTokenHoldsNothingUp() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let token = try SecretFile(Simulator.authToken)
        let otpd = try await Otpd.run(simulator, Self.settings(token))
        try simulator.faults(
            #"{"latency_ms": 2000, "numbers": {"+966501234567": {"fault": "refuse", "code": 20003, "count": 1}}}"#)
        try await database.enqueue("0501234567")
        _ = try await eventually("it is at Twilio") { try simulator.stats().concurrent == 1 ? true : nil }
        try simulator.faults(#"{"latency_ms": 0, "auth_token": "rotated"}"#)
        try token.write("rotated")
        otpd.signal(SIGHUP)
        try await otpd.says("reloaded Twilio's credentials: all further requests use them")
        #expect(try simulator.stats().concurrent == 1)
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        #expect(otpd.errors.contains("paused: nothing is sent"))
        // Measured by otpd's own times, because a regular probe comes after five seconds.
        let line = try await eventually("it says that the pause is over") {
            otpd.errors.split(separator: "\n").first { $0.contains("resumed: Twilio accepts messages again") }
        }
        let seconds = try #require(line.split(separator: " ").last { $0.hasPrefix("seconds=") })
        #expect(Int(seconds.dropFirst("seconds=".count)) ?? 5 < 5)
    }

    /// Every problem is logged, and the old values stay in use.
    @Test func aBrokenFileChangesNothing() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let token = try SecretFile(Simulator.authToken)
        let secret = try SecretFile(TestDatabase.secret)
        let otpd = try await Otpd.run(
            simulator, Self.settings(token, ["OTPD_SECRET": nil as String?, "OTPD_SECRET_FILE": secret.path]))
        try token.write("pasted twice ")
        try secret.write("short")
        otpd.signal(SIGHUP)
        try await otpd.says("cannot reload the settings: the old ones stay in use")
        try await otpd.says(
            "TWILIO_AUTH_TOKEN has a space or line break after it (from TWILIO_AUTH_TOKEN_FILE). Remove it.")
        try await otpd.says("OTPD_SECRET has 5 characters and needs 32")
        #expect(!otpd.errors.contains("pasted"))
        token.remove()
        otpd.signal(SIGHUP)
        try await otpd.says("TWILIO_AUTH_TOKEN cannot be read: TWILIO_AUTH_TOKEN_FILE is")
        try await database.enqueue("0501234567")
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        #expect(try simulator.stats().unauthorized == 0)
    }

    @Test func whatTakesARestartIsSaid() async throws {
        let simulator = try await Simulator.start()
        let token = try SecretFile(Simulator.authToken)
        let secret = try SecretFile(TestDatabase.secret)
        let otpd = try await Otpd.run(
            simulator, Self.settings(token, ["OTPD_SECRET": nil as String?, "OTPD_SECRET_FILE": secret.path]))
        otpd.signal(SIGHUP)
        try await otpd.says("reloaded the settings: no file has changed")
        try secret.write("another-secret-of-the-tests-0123456789_ABCDEF")
        otpd.signal(SIGHUP)
        try await otpd.says("OTPD_SECRET has changed: restart otpd to use the new value")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
    }
}
