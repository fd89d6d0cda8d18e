import Glibc
import TestSupport
import Testing

/// Twilio's error codes as data: every code at its stage, through the simulator.
@Suite(.database) struct ErrorClassTests {
    let database = TestScope.current?.database

    /// Twilio's codes by class and stage, from its error dictionary.
    static let known: [(errorClass: String, stage: String, codes: [Int])] = [
        ("pause_worker", "create", [20003, 20005, 10001, 90010, 20006, 20008, 20010, 20403, 70051, 20404]),
        ("pause_worker", "delivery", [30002, 30037]),
        (
            "pause_sender", "create",
            [
                21212, 21601, 21606, 21607, 21616, 21657, 21659, 21660, 21661, 21603, 21701, 21702, 21703, 21704,
                21705, 21709, 572_002,
            ]
        ),
        ("pause_sender", "delivery", [30018, 30040, 30024, 30032, 30034, 30041, 30042, 30043]),
        ("pause_channel", "create", [63002, 63007, 63008, 10002, 21210, 21213]),
        (
            "pause_channel", "delivery",
            [63001, 63016, 63020, 63022, 63027, 63028, 63030, 63040, 63041, 63042, 32204]
        ),
        ("pause_country", "create", [21215, 21408]),
        ("pause_country", "delivery", [13227, 32205]),
        (
            "permanent_recipient", "create",
            [
                21211, 21214, 21217, 21219, 21265, 21266, 21268, 21608, 572_005, 21610, 21612, 21614, 21635, 63003,
                63015, 63031, 21216, 573_002, 573_005,
            ]
        ),
        (
            "permanent_recipient", "delivery",
            [30005, 30006, 30004, 63014, 63024, 63032, 63033, 13223, 13224, 13225, 13226, 32203, 32224]
        ),
        (
            "bad_job", "create",
            [
                21602, 21604, 21605, 21609, 21617, 21618, 21619, 21620, 21621, 21622, 21623, 21624, 21626, 21627,
                21652, 21653, 21654, 21655, 21656, 21658, 21201, 21205, 21218, 21220, 30028, 30029, 30030, 30031,
            ]
        ),
        ("bad_job", "delivery", [63011, 63019, 63025]),
        (
            "content", "delivery",
            [30007, 30019, 30010, 30012, 30013, 30044, 12100, 13511, 13520, 63005, 63006, 63013, 63021]
        ),
        ("throttle", "create", [10004, 20429, 21611, 14107, 63038, 63017, 63018]),
        ("throttle", "delivery", [30001, 30017, 30022, 30023, 30025, 30026, 30027, 30454]),
        ("ambiguous", "create", [20503, 20500]),
        ("ambiguous", "delivery", [30410]),
        ("retry_safe", "create", [21730]),
        ("retry_safe", "delivery", [30020, 30021, 63010]),
        ("one_resend", "delivery", [30003, 30008, 30485, 30036, 63009, 63012, 63023, 63029]),
        ("fraud_hold", "delivery", [30450, 30453]),
        ("fraud_hold", "verify", [60410]),
        ("ignore", "inbound", [30009, 30038, 30039]),
        ("ignore", "delivery", [30011, 30014, 30015, 30016]),
    ]

    static func codes(_ stage: String, _ classes: String...) -> [Int] {
        known.filter { $0.stage == stage && classes.contains($0.errorClass) }.flatMap(\.codes)
    }

    @Test func theTableHasEveryCodeWithItsClassAndStage() async throws {
        let database = try #require(database)
        let rows = try await database.text("SELECT code, class, stage FROM otp.error_classes ORDER BY code")
        let expected = Self.known.flatMap { group in
            group.codes.map { (code: $0, row: "\($0)|\(group.errorClass)|\(group.stage)") }
        }
        #expect(expected.count == 174)
        #expect(rows == expected.sorted { $0.code < $1.code }.map(\.row).joined(separator: "\n"))
    }

    /// A remedy begins with the action and names the place. "Nothing" is followed by the reason.
    @Test func wordsAreSentencesThatAPersonCanActOn() async throws {
        let database = try #require(database)
        let verbs = [
            "Add", "Ask", "Check", "Choose", "Compare", "Enable", "Give", "Look", "Lower", "Open", "Raise", "Register",
            "Remove", "Report", "Reword", "Set", "Shorten", "Sign", "Submit", "Use", "Wait",
        ]
        let poor = try await database.text(
            """
            SELECT coalesce(code::text, class), explanation, remedy
              FROM (SELECT code, class, explanation, remedy FROM otp.error_classes
                    UNION ALL SELECT NULL, class, explanation, remedy FROM otp.error_class_defaults) w
             WHERE (explanation ~ '^[A-Z0-9].{14,}[.]$' AND explanation !~ '  '
                    AND remedy ~ '^((\(verbs.joined(separator: "|"))):? .{12,}|Nothing to do( yet)?[:.] .{12,})[.]$'
                    AND remedy !~ '  ') IS NOT TRUE
            """)
        #expect(poor == "")
    }

    /// Refusals that concern their own job alone, each for a number that Twilio refuses with that code.
    @Test func everyRefusalEndsItsJobInItsState() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("DELETE FROM otp.limits")
        try await Otpd.run(simulator)

        let failing = Self.codes("create", "permanent_recipient", "bad_job", "pause_channel")
        try refuse(failing, simulator)
        for code in failing { try await database.enqueue(Self.number(refusedWith: code)) }
        try await database.becomes(
            failing.sorted().map { "\($0)|failed|1|t" }.joined(separator: "\n"),
            """
            SELECT d.error_code, d.job_state, d.attempts, d.error = c.explanation AND d.remedy = c.remedy
              FROM otp.delivery_status d JOIN otp.error_classes c ON c.code = d.error_code ORDER BY 1
            """)

        // Twilio did not process them, or the outcome is unknown: by the code's row, by HTTP's 429, or by HTTP's 5xx.
        let waiting = Self.codes("create", "throttle", "retry_safe", "ambiguous")
        for code in waiting {
            try await database.enqueue(Self.number(refusedWith: code), subject: "waits \(code)")
        }
        try await database.becomes(
            """
            10004|waits|10004|t
            14107|waits||t
            20429|waits||t
            20500|unknown||t
            20503|unknown||t
            21611|waits|21611|t
            21730|waits|21730|t
            63017|waits|63017|t
            63018|waits|63018|t
            63038|waits|63038|t
            """,
            """
            SELECT substr(d.subject, 7), CASE WHEN d.job_state IN ('queued', 'sending') THEN 'waits' ELSE d.job_state END,
                   d.error_code,
                   CASE WHEN d.error_code IS NULL THEN d.error ~ '[.]$' AND d.remedy ~ '[.]$'
                        ELSE d.error = c.explanation AND d.remedy = c.remedy END
              FROM otp.delivery_status d LEFT JOIN otp.error_classes c ON c.code = d.error_code
             WHERE d.subject LIKE 'waits %' ORDER BY 1
            """)
        // Their codes expire, and the reason stays.
        try await database.text("UPDATE otp.send_jobs SET expires_at = now() WHERE state <> 'unknown'")
        try await database.becomes(
            "8|t",
            """
            SELECT count(*), bool_and(error <> '' AND remedy <> '')
              FROM otp.delivery_status WHERE subject LIKE 'waits %' AND job_state = 'expired'
            """)

        // Last, because it holds other jobs for numbers of the same block.
        for code in Self.codes("verify", "fraud_hold") {
            try await database.enqueue(Self.number(refusedWith: code))
            try await database.becomes(
                "queued|t",
                """
                SELECT d.job_state, d.error = c.explanation AND d.remedy = c.remedy
                  FROM otp.delivery_status d JOIN otp.error_classes c ON c.code = d.error_code WHERE d.error_code = \(code)
                """)
        }
    }

    /// Refusals that a retry would get again. The job waits, shows the reason, and is sent once the cause is gone.
    @Test(
        arguments: codes("create", "pause_worker", "pause_sender", "pause_country"))
    func aRefusalThatPausesKeepsItsJob(code: Int) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let number = "+966501\(String(repeating: "0", count: 6 - "\(code)".count))\(code)"
        try simulator.faults(#"{"numbers": {"\#(number)": {"fault": "refuse", "code": \#(code), "count": 1000}}}"#)
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue(number)
        try await database.becomes(
            "t|\(code)|t|t",
            """
            SELECT d.job_state IN ('queued', 'sending'), d.error_code, d.error = c.explanation, d.remedy = c.remedy
              FROM otp.delivery_status d JOIN otp.error_classes c ON c.code = d.error_code
            """)
        if Self.codes("create", "pause_worker").contains(code) {
            try await database.becomes(
                "paused|t|t",
                """
                SELECT w.state, w.reason = c.explanation, w.remedy = c.remedy
                  FROM otp.worker_status w, otp.error_classes c WHERE c.code = \(code)
                """)
        }
        try simulator.faults(#"{"numbers": {}}"#)
        otpd.signal(SIGHUP)
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        #expect(try simulator.inbox().map(\.to) == [number])
        #expect(try simulator.stats().created == 1)
    }

    /// Codes that appear after Twilio accepted the message. They are shown with its status, and nothing is sent again.
    @Test func everyDeliveryFailureIsShownInWords() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("DELETE FROM otp.limits")
        try await Otpd.run(simulator)
        let rows = Self.known.filter { ["delivery", "inbound"].contains($0.stage) }
        let known = rows.flatMap(\.codes)
        // The codes that pause the block of their numbers come last.
        let codes =
            rows.filter { $0.errorClass != "fraud_hold" }.flatMap(\.codes) + [39999]
            + rows.filter { $0.errorClass == "fraud_hold" }.flatMap(\.codes)
        for code in codes { try await database.enqueue("+9665901\(code)") }
        try await database.becomes(
            known.sorted().map { "accepted|\($0 == 30001 || $0 == 30002 ? "failed" : "undelivered")|1|\($0)|t" }
                .joined(separator: "\n"), within: .seconds(60),
            """
            SELECT d.job_state, d.message_status, d.attempts, d.error_code,
                   d.error = c.explanation AND d.remedy = c.remedy AND d.final_at IS NOT NULL
              FROM otp.delivery_status d JOIN otp.error_classes c ON c.code = d.error_code ORDER BY d.error_code
            """)
        try await database.becomes(
            """
            accepted|undelivered|Twilio reported error 39999, which has no row in otp.error_classes.|\
            Look it up at https://www.twilio.com/docs/api/errors/39999 and add a row to otp.error_classes.
            """, within: .seconds(60),
            "SELECT job_state, message_status, error, remedy FROM otp.delivery_status WHERE error_code = 39999")
        #expect(try simulator.stats().creates == codes.count)
    }

    /// An unknown code fails its job and raises an alert. A row for it, and any later edit, takes effect within a
    /// second.
    @Test func aClassIsTakenUpWithinASecond() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("DELETE FROM otp.limits")
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("+966590099999", subject: "unknown")
        try await database.becomes(
            "failed|Twilio answered with error 99999, which has no row in otp.error_classes.|t",
            "SELECT job_state, error, remedy ~ '^Look it up .*/99999 .*[.]$' FROM otp.delivery_status")
        try await otpd.says("Twilio gave an error code that otp.error_classes does not list")

        // From COMMIT to the first decision by it. The quickest of several edits counts, because the machine may be
        // busy. A worker that waited for its next heartbeat would be late every time.
        var spans: [Duration] = []
        for edit in 1...40 where !spans.contains(where: { $0 < .seconds(1) }) {
            try await database.text(
                """
                INSERT INTO otp.error_classes (code, class, stage, explanation, remedy)
                VALUES (99999, 'bad_job', 'create', 'Words of edit \(edit).', 'Do this.')
                ON CONFLICT (code) DO UPDATE SET explanation = excluded.explanation
                """)
            let committed = ContinuousClock.now
            _ = try await eventually("a decision by edit \(edit)") {
                let job = try await database.enqueue("+966590099999")
                let words = try await eventually("an end") {
                    let words = try await database.text(
                        "SELECT error FROM otp.delivery_status WHERE send_job_id = \(job) AND job_state = 'failed'")
                    return words.isEmpty ? nil : words
                }
                return words == "Words of edit \(edit)." ? true : nil
            }
            spans.append(ContinuousClock.now - committed)
        }
        print("taken up after COMMIT: \(spans.map { "\($0)" }.joined(separator: ", "))")
        let quickest = try #require(spans.min())
        #expect(quickest < .seconds(1))

        // Another class makes another decision.
        try await database.text("UPDATE otp.error_classes SET class = 'retry_safe' WHERE code = 99999")
        _ = try await eventually("a job that is tried again") {
            let job = try await database.enqueue("+966590099999")
            let state = try await eventually("an attempt") {
                let state = try await database.text(
                    "SELECT job_state FROM otp.delivery_status WHERE send_job_id = \(job) AND error IS NOT NULL")
                return state.isEmpty ? nil : state
            }
            return state == "failed" ? nil : true
        }
    }

    @Test func theEverydayTroublesReadWell() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("+966590021211")
        try await database.enqueue("+966590021608")
        try await database.becomes(
            """
            The phone number is not valid: Twilio does not accept it.|Ask the user to check the number and to enter it again.
            This Twilio account is on trial: it sends only to verified numbers.|Add the number under Verified Caller IDs in \
            the Twilio console, or upgrade the account.
            """, "SELECT error, remedy FROM otp.delivery_status ORDER BY error_code")

        try simulator.faults(#"{"auth_token": "another"}"#)
        try await database.enqueue("0501234567")
        try await database.becomes(
            """
            paused|Authentication failed: Twilio does not accept the credentials.|\
            Compare TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or the API key and its secret) with the Twilio console. Then \
            restart otpd. If only the file of the token or secret was wrong, a reload is enough: systemctl reload otpd.
            """, "SELECT state, reason, remedy FROM otp.worker_status")
        try await otpd.says("paused: nothing is sent, jobs wait")

        let answer = try await Otpd.command(
            ["run"],
            environment: Otpd.environment(
                simulator.url,
                ["TWILIO_ACCOUNT_SID": nil, "TWILIO_AUTH_TOKEN": nil, "TWILIO_PHONE_NUMBER": nil] as [String: String?]))
        #expect(answer.code == 78)
        #expect(
            answer.errors.contains(
                "SMS service not configured: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER are not set"))
    }

    /// A number that the simulator refuses with `code`: five digits by itself, more of them on request (`refuse`).
    private static func number(refusedWith code: Int) -> String { code > 99999 ? "+966501\(code)" : "+9665900\(code)" }

    private func refuse(_ codes: [Int], _ simulator: Simulator) throws {
        let rules = codes.filter { $0 > 99999 }.map {
            #""\#(Self.number(refusedWith: $0))": {"fault": "refuse", "code": \#($0), "count": 1000}"#
        }
        try simulator.faults("{\"numbers\": {\(rules.joined(separator: ", "))}}")
    }
}
