import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// `otpd jobs`, `otpd verify`, and the rows of workers and receivers about themselves.
@Suite(.database) struct JobsTests {
    let database = TestScope.current?.database

    @Test func listShowRetryCancel() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        // 9 and 10: the newest first, ordered as numbers and not as text.
        try await database.text("SELECT setval(pg_get_serial_sequence('otp.send_jobs', 'id'), 8)")
        let sent = try await database.enqueue("0501234567", subject: "user-1")
        let refused = try await database.enqueue("+966590021610", subject: "user-2")
        try await database.becomes("1|1", "SELECT accepted_1h, failed_1h FROM otp.queue_status")

        let list = try await Otpd.command(["jobs", "list"])
        #expect(list.code == 0)
        #expect(list.output.contains("+9665•••••567") && list.output.contains("21610"))
        struct Job: Decodable {
            let sendJobId: Int
            let jobState: String
            let error: String?
            let remedy: String?
        }
        func jobs(_ arguments: [String]) async throws -> [Job] {
            let answer = try await Otpd.command(["jobs", "list", "--json"] + arguments)
            #expect(answer.code == 0, "\(answer.errors)")
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode([Job].self, from: Data(answer.output.utf8))
        }
        #expect(try await jobs([]).map(\.sendJobId) == [Int(refused), Int(sent)])
        #expect(try await jobs(["--limit", "1"]).map(\.sendJobId) == [Int(refused)])
        #expect(try await jobs(["--failed"]).map(\.sendJobId) == [Int(refused)])
        #expect(try await jobs(["--state", "accepted"]).map(\.sendJobId) == [Int(sent)])
        #expect(try await jobs(["--subject", "user-1"]).map(\.sendJobId) == [Int(sent)])
        #expect(try await jobs(["--failed", "--subject", "user-1"]).isEmpty)
        #expect(try await jobs(["--failed"]).first?.remedy != nil)
        for arguments in [["list", "--state", "x"], ["list", "--limit", "0"], ["show", "x"], ["retry"], ["cancel"]] {
            #expect(try await Otpd.command(["jobs"] + arguments).code == 64, "\(arguments)")
        }

        let story = try await Otpd.command(["jobs", "show", refused])
        #expect(story.code == 0)
        for words in [
            "Send job \(refused): failed", "To do", "+9665•••••610 (SA), subject user-2", "the job ended: failed",
        ] {
            #expect(story.output.contains(words), "\(words)")
        }
        let inJSON = try await Otpd.command(["jobs", "show", refused, "--json"])
        #expect(inJSON.output.contains("\"code_is_dead\": false"))
        #expect(story.output.split(separator: "\n").allSatisfy { $0.unicodeScalars.count <= 80 })
        #expect(!(story.output + list.output).contains("590021610"))
        #expect(try await Otpd.command(["jobs", "show", "999999"]).code == 65)

        try await database.text("UPDATE otp.messages SET follow_up = 'Not sent again: a reason.'")
        #expect(try await Otpd.command(["jobs", "show", sent]).output.contains("Not sent again: a reason."))

        // Once more: Twilio refuses it again, and both sends are shown.
        let again = try await Otpd.command(["jobs", "retry", refused])
        #expect(again.code == 0, "\(again.errors)")
        try await database.becomes("2", "SELECT failed_1h FROM otp.queue_status")
        let second = try await database.text("SELECT max(send_job_id) FROM otp.delivery_status")
        #expect(again.output.contains("Job \(second) sends the code of job \(refused) again."))
        let chain = try await Otpd.command(["jobs", "show", second])
        #expect(chain.output.contains("Other sends of this code") && chain.output.contains("\(refused)  failed"))
        let accepted = try await Otpd.command(["jobs", "retry", sent])
        #expect(accepted.code == 65 && accepted.errors.contains("was already accepted by Twilio"), "\(accepted.errors)")
        #expect(try await Otpd.command(["jobs", "cancel", sent]).errors.contains("has already ended: accepted"))

        // The code has ended, so the remedy is the user's next request.
        try await database.text("UPDATE otp.verifications SET canceled_at = now() WHERE subject = 'user-2'")
        let dead = try await Otpd.command(["jobs", "retry", second])
        #expect(dead.code == 65 && dead.errors.contains("Ask the user to request a new code"), "\(dead.errors)")
    }

    @Test func aJobInItsBackoffGoesAtOnceAndAQueuedOneIsCalledOff() async throws {
        let database = try #require(database)
        let waits = try await database.enqueue("0501234567", subject: "user-1")
        let goes = try await database.enqueue("0501234568", subject: "user-2")
        try await database.text("UPDATE otp.send_jobs SET due_at = expires_at")
        let canceled = try await Otpd.command(["jobs", "cancel", waits])
        #expect(canceled.code == 0 && canceled.output == "Send job \(waits) is canceled.\n", "\(canceled.errors)")
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let due = try await Otpd.command(["jobs", "retry", goes])
        #expect(due.output == "Send job \(goes) is due now.\n", "\(due.errors)")
        try await database.becomes(
            "canceled\naccepted", "SELECT job_state FROM otp.delivery_status ORDER BY send_job_id")
    }

    @Test func verifyReadsTheCodeFromStandardInput() async throws {
        let database = try #require(database)
        let environment = try Otpd.environment("http://127.0.0.1:9")
        try await database.enqueue("0501234567", subject: "user-1", code: "123456")
        func verify(_ input: String, _ arguments: [String] = []) async throws -> Otpd.Answer {
            try await Otpd.command(["verify", "user-1"] + arguments, environment: environment, input: input)
        }
        let wrong = try await verify("654321\n")
        #expect(wrong.code == 65 && wrong.output.isEmpty && wrong.errors.contains("not verified: "))
        #expect(!wrong.errors.contains("654321"))
        #expect(try await verify("\n").errors.contains("standard input has no code"))
        #expect(try await verify("123456\n", ["--purpose", "other"]).code == 65)
        let right = try await verify("١٢٣ ٤٥٦\n")
        #expect(right.code == 0 && right.output == "verified\n", "\(right.errors)")
        let used = try await verify("123456\n", ["--json"])
        #expect(used.code == 65 && used.output == "{\"verified\": false}\n")
        #expect(try await database.text("SELECT attempts FROM otp.verifications") == "1")
        // Without the secret the configuration is wrong, and not the code.
        let other = try Otpd.environment("http://127.0.0.1:9", ["OTPD_SECRET": String(repeating: "another_", count: 4)])
        try await database.enqueue("0501234567", subject: "user-3", code: "123456")
        let mistaken = try await Otpd.command(["verify", "user-3"], environment: other, input: "123456\n")
        #expect(
            mistaken.code == 78 && mistaken.errors.contains("is not the one the code was sealed with"),
            "\(mistaken.errors)")
    }

    /// For a process that cannot be dumped, root owns its memory in /proc, whatever its user: prctl(2),
    /// PR_SET_DUMPABLE.
    @Test func noCoreDumpOfACommandHoldsTheCode() async throws {
        let otpd = try BuildFolder.executable("otpd")
        let isRoot = getuid() == 0
        let terminal = try PseudoTerminal(
            isRoot ? "setpriv" : otpd,
            (isRoot ? ["--reuid=65534", "--regid=65534", "--clear-groups", otpd] : []) + ["verify", "user-1"],
            environment: Otpd.environment("http://127.0.0.1:9"), columns: 80, rows: 24)
        try await terminal.program.says("Code for user-1: ")
        var process = stat()
        #expect(stat("/proc/\(terminal.program.pid)/mem", &process) == 0)
        #expect(process.st_uid == 0)
        terminal.type("\u{3}")
        _ = try await terminal.program.exit()
    }

    @Test(arguments: [true, false])
    func inATerminalTheCodeIsNotShown(isInterrupted: Bool) async throws {
        let database = try #require(database)
        try await database.enqueue("0501234567", subject: "user-1", code: "123456")
        let terminal = try PseudoTerminal(
            BuildFolder.executable("otpd"), ["verify", "user-1"],
            environment: Otpd.environment("http://127.0.0.1:9"), columns: 80, rows: 24)
        try await terminal.program.says("Code for user-1: ")
        #expect(!terminal.isEchoing)
        terminal.type(isInterrupted ? "12\u{3}" : "123456\n")
        #expect(try await terminal.program.exit() == (isInterrupted ? -SIGINT : 0))
        #expect(!terminal.shown.contains("12"))
        #expect(terminal.isEchoing)
    }

    private static let counts = """
        SELECT kind, state, callbacks_received, callbacks_refused, callbacks_dropped, callbacks_written,
               twilio_state IS NULL FROM otp.worker_status
        """

    @Test func theReceiversCountsAreInTheWorkersRow() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start(delays: "200,400,800")
        let otpd = try await Otpd.runReceiving(simulator)
        try await database.becomes("worker|running|0|0|0|0|f", Self.counts)
        try await database.enqueue("0501234567")
        try await database.becomes("t", "SELECT callbacks_written > 0 FROM otp.worker_status")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        let stopped = try await database.text(
            "SELECT state, callbacks_written > 0, database_state IS NULL, twilio_state IS NULL FROM otp.worker_status")
        #expect(stopped == "stopped|t|t|t")
    }

    @Test func aReceiverAloneHasARowAndIsNoWorker() async throws {
        let database = try #require(database)
        let (otpd, port) = try await Otpd.receiver()
        try await database.becomes("callbacks|running|0|0|0|0|t", Self.counts)
        #expect(try Callback(sid: Callback.sid(1), status: "sent").post(to: port) == 200)
        #expect(try Callback(sid: Callback.sid(1), status: "sent", token: "x").post(to: port) == 403)
        try await database.becomes("callbacks|running|1|1|0|1|t", Self.counts)
        #expect(try await database.text("SELECT workers_alive FROM otp.queue_status") == "0")
        #expect(try await Otpd.command(["status", "--check"]).code == 69)
        #expect(try await Otpd.command(["status"]).output.contains("1 callbacks, 1 refused"))
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text(Self.counts) == "callbacks|stopped|1|1|0|1|t")
    }

    /// A role that may only record statuses has no row. That is logged once, and callbacks are recorded all the same.
    @Test func aReceiverThatMayNotHasNoRow() async throws {
        let database = try #require(database)
        let role = "receiver_\(database.name)"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'x' IN ROLE otp_web, otp_monitor")
        let (otpd, port) = try await Otpd.receiver(["PGUSER": role, "PGPASSWORD": "x"])
        try await otpd.says("the role may not write to otp.worker_status; this receiver is not listed there")
        #expect(try Callback(sid: Callback.sid(1), status: "sent").post(to: port) == 200)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text("SELECT count(*) FROM otp.worker_status") == "0")
        try await database.text("DROP ROLE \(role)")
    }

    @Test func aKilledWorkerIsCalledDeadByAnother() async throws {
        let database = try #require(database)
        try await database.text(
            """
            INSERT INTO otp.worker_status (host, pid, version, state, heartbeat_at, database_state)
            VALUES ('gone', 1, '0', 'running', now() - interval '31 seconds', 'connected'),
                   ('stopped', 2, '0', 'stopped', now() - interval '1 minute', NULL)
            """)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.becomes(
            "gone|dead|t|\nstopped|stopped|f|",
            "SELECT host, state, remedy IS NOT NULL, database_state FROM otp.worker_status WHERE pid < 3 ORDER BY host")
        // A worker without processor time for half a minute does not count as alive, until its next heartbeat.
        let page = try await eventually("one worker is alive") {
            let page = try await Otpd.command(["status"]).output
            return page.contains("1 alive, 1 dead") ? page : nil
        }
        #expect(page.contains("without a heartbeat"))
        #expect(try await Otpd.command(["status", "--check"]).code == 0)
    }
}
