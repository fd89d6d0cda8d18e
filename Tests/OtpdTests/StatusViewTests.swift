import Testing

@testable import otpd

/// The picture of the status: what it shows, and that it fits.
@Suite struct StatusViewTests {
    static let sizes = [(80, 24), (40, 12), (200, 50), (20, 5), (132, 43), (21, 200), (1, 1), (79, 3)]

    /// Everything that is hard to fit.
    static var snapshots: [(String, StatusSnapshot)] {
        var many = StatusFixture.troubled
        many.workers = (1...50).map { StatusFixture.worker($0, host: "a-rather-long-host-name-\($0)", seconds: $0) }
        many.queue.workersAlive = 29
        many.pauses = (1...6).map { index in
            var pause = many.pauses[0]
            pause.scope = "prefix +96650\(index)"
            pause.remedy = String(repeating: "Do this, and then that. ", count: 40)
            return pause
        }
        many.failures = (1...10).map { index in
            StatusFixture.failure(
                index, error: String(repeating: "語", count: 150), remedy: String(repeating: "مرحبا ", count: 60))
        }
        var hostile = StatusFixture.troubled
        hostile.pauses[0].reason = "a\u{1B}[2J\nb\u{202E}c"
        hostile.workers[0].host = "h\u{1B}]0;x\u{7}"
        hostile.sends[0].messageStatus = "sent\u{1B}[2J"
        hostile.failures[0].error = "\u{9B}31m\u{2028}"
        return [
            ("working", StatusFixture.working), ("limited", StatusFixture.limited),
            ("troubled", StatusFixture.troubled), ("many", many), ("routed", StatusFixture.routed),
            ("held", StatusFixture.held),
            ("nothing", StatusSnapshot()), ("hostile", hostile),
        ]
    }

    @Test(arguments: sizes)
    func noLineIsWiderNorThePictureHigher(size: (width: Int, height: Int)) {
        for (name, snapshot) in Self.snapshots {
            for trouble in [nil, (words: "connection refused at 127.0.0.1:5432", seconds: 12)] {
                var view = StatusFixture.view(snapshot)
                view.trouble = trouble
                let lines = view.lines(width: size.width, height: size.height)
                #expect(lines.count <= size.height, "\(name)")
                for line in lines {
                    #expect(line.columns <= size.width, "\(name): \(line.plain)")
                    #expect(!line.plain.unicodeScalars.contains { SingleLine.mustEscape($0) }, "\(name)")
                }
                view.snapshot = nil
                #expect(view.lines(width: size.width, height: size.height).count <= size.height)
            }
            for line in StatusFixture.view(snapshot, interval: nil).lines(width: size.width) {
                #expect(line.columns <= size.width, "\(name): \(line.plain)")
            }
        }
    }

    @Test func aLimitThatIsUsedUp() {
        let verdict = StatusVerdict.of(StatusFixture.limited)
        #expect(verdict.level == .warning && !verdict.failsCheck)
        #expect(verdict.headline == "The limit country SA (500 a day) is used up until 2026-11-30 00:00:00+03.")
        let lines = StatusFixture.view(StatusFixture.limited, interval: nil).lines(width: 100).map(\.plain)
        #expect(
            lines.contains("  country SA  500 of 500 this day, used up until 2026-11-30 00:00:00+03 (2 h)"), "\(lines)")
        #expect(lines.contains("  total  850 of 1000 this hour"))
        #expect(lines.contains { $0.hasPrefix("Refused") && $0.contains("40 country · in 1 h, by limit") }, "\(lines)")
        let working = StatusFixture.view(StatusFixture.working).lines(width: 100).map(\.plain)
        #expect(!working.contains { $0.contains("limit") })
    }

    @Test func channelsInUseHaveNames() {
        var snapshot = StatusFixture.routed
        let lines = StatusFixture.view(snapshot, interval: nil).lines(width: 100).map(\.plain)
        #expect(lines.contains("Channels  in 1 h"), "\(lines)")
        #expect(lines.contains("  sms       60,000 sent, 30 failed, 8 queued"))
        #expect(lines.contains("  call      233 sent, 11 failed, 4 queued"))
        #expect(lines.contains("  email     0 sent, 0 failed, 0 queued, cannot be used"))
        #expect(!lines.contains { $0.hasPrefix("  whatsapp") }, "a channel without a route or a job")
        #expect(lines.contains { $0.contains("+9665•••••001  call      accepted, delivered") })
        #expect(lines.contains { $0.hasPrefix("  7") && $0.hasSuffix(" · e-mail") }, "\(lines)")
        var pause = StatusSnapshot.Pause()
        pause.scope = "channel call"
        snapshot.pauses = [pause]
        let paused = StatusFixture.view(snapshot, interval: nil).lines(width: 100).map(\.plain)
        #expect(paused.contains("  call      233 sent, 11 failed, 4 queued, paused"))
    }

    @Test func holds() {
        let verdict = StatusVerdict.of(StatusFixture.held)
        #expect(verdict.level == .warning)
        #expect(verdict.headline == "Requests are held back: new networks and numbers, country SA.")
        #expect(verdict.detail == "31 texts are out whose codes were not used; 30 are allowed.")
        let lines = StatusFixture.view(StatusFixture.held, interval: nil).lines(width: 100).map(\.plain)
        #expect(lines.contains("Held back  2"))
        #expect(
            lines.contains("  new networks and numbers, country SA  for 12 min, 25 let through, 3 of them used"),
            "\(lines)")
        #expect(lines.contains("  network 203.0.113.0/24  for 12 min, only observed"))
    }

    /// With text messages alone, the picture is the same as without the channels' figures.
    @Test func textMessagesAloneHaveNone() {
        var snapshot = StatusFixture.routed
        (snapshot.channels, snapshot.routeProblems) = (Array(snapshot.channels.prefix(2)), [])
        snapshot.workers[1].channels = "sms, whatsapp, call"
        snapshot.sends[0].channel = "sms"
        for interval in [2.0, nil] {
            #expect(
                StatusFixture.view(snapshot, interval: interval).lines(width: 100)
                    == StatusFixture.view(StatusFixture.working, interval: interval).lines(width: 100))
        }
    }

    @Test func aStepThatCannotBeUsed() {
        let verdict = StatusVerdict.of(StatusFixture.routed)
        #expect(verdict.level == .warning && !verdict.failsCheck)
        #expect(
            verdict.headline == "Working, but step 3 of the route for any purpose, SA (email) cannot be used.",
            "\(verdict.headline)")
        #expect(verdict.detail?.hasPrefix("No running worker can send by email") == true)
    }

    @Test func whatDoesNotFitIsCounted() {
        let many = Self.snapshots[3].1
        let lines = StatusFixture.view(many).lines(width: 80, height: 24).map(\.plain)
        func row(_ title: String) -> String { lines.first { $0.hasPrefix(title) } ?? "" }
        let shown = lines.filter { $0.contains("a-rather-long-host") }.count
        #expect(row("Workers").contains("+\(50 - shown) more"), "\(row("Workers"))")
        let pauses = lines.filter { $0.contains("prefix +96650") && $0.hasPrefix("  prefix") }.count
        #expect(pauses > 0 && row("Pauses").contains("+\(6 - pauses) more"))
        #expect(row("Last failures").contains("more"))
        // Too small even for the titles: a line says what there is.
        let small = StatusFixture.view(many).lines(width: 80, height: 14).map(\.plain)
        #expect(small.last?.hasPrefix("Pauses 6 · Workers 29 alive, 21 dead · Last failures 10") == true, "\(small)")
        // With room for all, nothing is left out.
        let page = StatusFixture.view(many, interval: nil).lines(width: 80).map(\.plain)
        #expect(!page.contains { $0.contains(" more") && !$0.contains("more pauses") })
        #expect(page.filter { $0.contains("a-rather-long-host") }.count == 50)
    }

    @Test func aPageShowsRemediesWhole() {
        let page = StatusFixture.view(StatusFixture.troubled, interval: nil).lines(width: 60).map(\.plain)
        let text = page.joined(separator: " ").split(separator: " ").joined(separator: " ")
        #expect(text.contains("→ Ask the user to send START to it, or use another sender."))
        #expect(text.contains("Enable it in the Twilio Console: Messaging, Settings, Geo permissions."))
        #expect(!text.contains("…"))
    }

    @Test func oldFiguresAreMarked() {
        var view = StatusFixture.view(StatusFixture.working)
        view.trouble = ("connection refused", 12)
        let lines = view.lines(width: 80, height: 24)
        #expect(lines[1].plain == "✖ Cannot reach the database. These figures are 12 s old.")
        #expect(lines[2].plain.contains("Unreachable for 12 s: connection refused"))
        let queue = lines.first { $0.plain.hasPrefix("Queue") }
        #expect(queue?.parts.map(\.style) == [.dim])
        // What says so is not grey.
        #expect(lines[1].parts.contains { $0.style == .bad })
        view.trouble = nil
        #expect(view.lines(width: 80, height: 24).first { $0.plain.hasPrefix("Queue") }?.parts.count ?? 0 > 1)
    }

    @Test func coloursAreForTerminals() {
        let lines = StatusFixture.view(StatusFixture.troubled).lines(width: 80, height: 24)
        #expect(lines.contains { $0.text(colour: true).contains("\u{1B}[1;31m") })
        #expect(!lines.contains { $0.text(colour: false).contains("\u{1B}") })
        #expect(lines.map { $0.text(colour: false) } == lines.map { $0.text(colour: false) }.map { $0 })
        for line in lines { #expect(line.text(colour: false).last != " ") }
    }

    @Test func aDeadWorkerSaysSo() {
        let lines = StatusFixture.view(StatusFixture.troubled).lines(width: 80, height: 40).map(\.plain)
        #expect(lines.contains { $0.contains("web-3") && $0.contains("dead, 40 s without a heartbeat") })
        #expect(lines.contains { $0.hasPrefix("Workers  2 alive, 1 dead") })
        // One that nobody has called dead yet, and a receiver of callbacks.
        var snapshot = StatusFixture.working
        snapshot.workers[0].heartbeatSeconds = 31
        var receiver = StatusFixture.worker(9, sends: false)
        receiver.callbacks = (120, 2, 0, 118)
        snapshot.workers.append(receiver)
        let view = StatusFixture.view(snapshot).lines(width: 80, height: 40).map(\.plain)
        #expect(view.contains { $0.contains("dead, 31 s without a heartbeat") })
        #expect(view.contains { $0.contains("running · 118 callbacks, 2 refused") })
    }

    @Test func theLineForAPipe() {
        let line = StatusFixture.view(StatusFixture.troubled).line()
        #expect(
            line
                == "queued 12 · due 3 · oldest 1 s · sending 4 · unknown 0 · sent/1m 1204 · failed/1m 0 · p95 95 ms "
                + "· workers 2 · paused: country SA · Sending is paused in part: country SA.")
        var view = StatusFixture.view(StatusFixture.working)
        view.trouble = ("refused\n", 3)
        #expect(view.line() == "database unreachable for 3 s: refused\\n")
    }

    @Test(arguments: [(80, 24), (40, 12), (200, 50)])
    func golden(size: (width: Int, height: Int)) throws {
        let lines = StatusFixture.view(StatusFixture.troubled).lines(width: size.width, height: size.height)
        let picture = lines.map { $0.text(colour: false) }.joined(separator: "\n")
        #expect(picture == StatusPictures.troubled["\(size.width)×\(size.height)"])
        if size.width == 80 {
            let calm = StatusFixture.view(StatusFixture.working).lines(width: size.width, height: size.height)
            #expect(calm.map { $0.text(colour: false) }.joined(separator: "\n") == StatusPictures.working)
        }
    }
}

/// What the status says first.
@Suite struct StatusVerdictTests {
    @Test func whatIsWorstComesFirst() {
        var snapshot = StatusFixture.working
        #expect(StatusVerdict.of(snapshot).headline == "Working: 1,204 sent in the last minute.")
        #expect(StatusVerdict.of(snapshot).level == .good && !StatusVerdict.of(snapshot).failsCheck)
        snapshot.queue.unknown = 2
        #expect(StatusVerdict.of(snapshot).headline == "Working, but the outcome of 2 sends is unknown.")
        snapshot.workers.append(StatusFixture.worker(5, state: "running", seconds: 45))
        #expect(StatusVerdict.of(snapshot).headline == "Working, but worker 5 is dead.")
        #expect(!StatusVerdict.of(snapshot).failsCheck)
        snapshot.queue.accepted.1 = 5
        snapshot.queue.failed.1 = 15
        snapshot.queue.successShare = 0.25
        snapshot.failures = [StatusFixture.failure(1, error: "Why.", remedy: "Do.")]
        #expect(
            StatusVerdict.of(snapshot)
                == StatusVerdict(
                    level: .bad, headline: "75% of the sends of the last 5 minutes failed.",
                    detail: "The last failure: Why.", remedy: "Do.", failsCheck: false))
        snapshot.queue.oldestDueSeconds = 59.9
        #expect(!StatusVerdict.of(snapshot).failsCheck)
        snapshot.queue.oldestDueSeconds = 60
        #expect(StatusVerdict.of(snapshot).headline == "Behind: a job has been due for 60 s.")
        #expect(StatusVerdict.of(snapshot).failsCheck)
        snapshot.pauses = StatusFixture.troubled.pauses
        #expect(StatusVerdict.of(snapshot).headline == "Sending is paused in part: country SA.")
        #expect(StatusVerdict.of(snapshot).failsCheck)
        var all = snapshot.pauses[0]
        (all.scope, all.reason, all.remedy) = ("all", "the gateway is being moved", nil)
        snapshot.pauses.append(all)
        #expect(StatusVerdict.of(snapshot).headline == "Nothing is sent: everything is paused.")
        #expect(StatusVerdict.of(snapshot).remedy == "End the pause: otpd resume --all")
        #expect(StatusVerdict.of(snapshot).detail?.hasSuffix(" 1 more pause is in force, see below.") == true)
        snapshot.queue.workersAlive = 0
        #expect(StatusVerdict.of(snapshot).headline == "No worker is alive. Nothing is sent.")
        #expect(StatusVerdict.of(snapshot).failsCheck)
    }

    @Test func oneWorkersPauseIsNotEverybodys() {
        var snapshot = StatusFixture.working
        var pause = StatusSnapshot.Pause()
        (pause.scope, pause.reason, pause.remedy) = ("worker 7", "Wrong credentials.", "Correct them.")
        snapshot.pauses = [pause]
        #expect(StatusVerdict.of(snapshot).headline == "Sending is paused in part: worker 7.")
        pause.scope = "worker 8"
        snapshot.pauses.append(pause)
        #expect(StatusVerdict.of(snapshot).headline == "Nothing is sent: everything is paused.")
    }

    @Test func theBudgetsPauseHoldsEverything() {
        var snapshot = StatusFixture.working
        var country = StatusSnapshot.Pause()
        (country.scope, country.reason) = ("country SA", "Not enabled.")
        var budget = StatusSnapshot.Pause()
        (budget.scope, budget.reason) = ("budget", "The budget of 50 USD for today is used up.")
        snapshot.pauses = [country, budget]
        let verdict = StatusVerdict.of(snapshot)
        #expect(verdict.headline == "Nothing is sent: everything is paused.")
        #expect(verdict.detail?.contains("The budget of 50 USD for today is used up.") == true)
        #expect(verdict.remedy == "Raise otp.settings.daily_budget, or wait: the pause ends by itself at midnight.")
        #expect(verdict.failsCheck)
    }

    @Test(arguments: [
        ("all", "End the pause: otpd resume --all"),
        ("country SA", "End the pause: otpd resume --country SA"),
        ("prefix +96650", "End the pause: otpd resume --prefix +96650"),
        ("budget", "Raise otp.settings.daily_budget, or wait: the pause ends by itself at midnight."),
        ("worker 7", "Correct the cause. The pause ends by itself when a probe succeeds."),
    ])
    func theRemedyOfAPauseThatNamesNone(scope: String, remedy: String) {
        #expect(StatusWords.pauseRemedy(scope) == remedy)
    }

    @Test func sinceWhenNobodyIsAlive() {
        var snapshot = StatusSnapshot()
        #expect(
            StatusVerdict.of(snapshot).detail == "There was no heartbeat in the last hour. 0 jobs are due.")
        snapshot.workers = [StatusFixture.worker(3, state: "dead", seconds: 125)]
        snapshot.queue.due = 1
        #expect(
            StatusVerdict.of(snapshot).detail
                == "The last heartbeat, of worker 3, was 2 min ago. 1 job is due.")
        snapshot.workers = [StatusFixture.worker(3, state: "stopped", seconds: 60)]
        #expect(StatusVerdict.of(snapshot).detail == "Worker 3 was stopped 60 s ago. 1 job is due.")
    }

    /// Tried again and again, and so never due for long: yet nothing gets through.
    @Test func jobsThatWaitForTheirNextAttemptAreNotNothingToSend() {
        var snapshot = StatusFixture.working
        var waits = StatusFixture.failure(902, error: "Its code is sealed under another secret.", remedy: "Set it.")
        waits.state = "queued"
        snapshot.sends.insert(waits, at: 0)
        #expect(StatusVerdict.of(snapshot).level == .good)
        (snapshot.queue.accepted.0, snapshot.queue.queued, snapshot.queue.due) = (0, 1, 0)
        let verdict = StatusVerdict.of(snapshot)
        #expect(verdict.level == .warning && !verdict.failsCheck)
        #expect(verdict.headline == "No send succeeded in the last minute. 1 job waits.")
        #expect(verdict.detail == "Job 902: Its code is sealed under another secret.")
        #expect(verdict.remedy == "Set it.")
    }

    @Test(arguments: [
        (0, "0 s"), (99, "99 s"), (100, "1 min"), (5_399, "89 min"), (5_400, "1 h 30 min"), (7_200, "2 h"),
        (86_400, "1 d"), (-5, "0 s"),
    ])
    func spans(seconds: Int, words: String) { #expect(StatusWords.span(seconds) == words) }

    @Test func numbers() {
        #expect(
            [0, 999, 1_000, 1_234_567, -1_234].map(StatusWords.number) == ["0", "999", "1,000", "1,234,567", "-1,234"])
        #expect(
            [0, 0.04, 12.34, 99.94, 99.96, 1_234.5].map(StatusWords.tenths) == [
                "0.0", "0.0", "12.3", "99.9", "100", "1,235",
            ])
        #expect([1, 0.9999, 0.98765, 0.0001, 0].map(StatusWords.percent) == ["100%", "99.9%", "98.8%", "0.1%", "0%"])
        #expect([4.4, 999.4, 1_240, 65_000].map(StatusWords.milliseconds) == ["4 ms", "999 ms", "1.2 s", "65 s"])
    }
}

@Suite struct StatusHistoryTests {
    @Test func ratesComeFromTheDatabase() {
        var history = StatusHistory()
        history.add(StatusFixture.working)
        // Steps 199940…199999 are known, the one that goes on is left out, and what was before is not 0.
        #expect(history.rates(3) == [18, 20, 22])
        #expect(history.rates(62).prefix(3) == [nil, nil, 0])
        // A step in which nothing ended has no row.
        var later = StatusFixture.working
        later.now += 10
        history.add(later)
        #expect(history.rates(3) == [22, 0, 0])
    }

    @Test func latenciesAreRemembered() {
        var history = StatusHistory()
        var snapshot = StatusFixture.working
        for (seconds, p95) in [(0.0, 10.0), (1, 30), (2, 20), (10, 5)] {
            snapshot.now = 1_000_000 + seconds
            snapshot.queue.latency = (1, p95, 99)
            history.add(snapshot)
        }
        #expect(history.latencies(4) == [nil, 30, nil, 5])
        snapshot.now += 5 * Double(StatusHistory.length)
        snapshot.queue.latency = nil
        history.add(snapshot)
        #expect(history.latency.isEmpty)
    }

    @Test func bars() {
        #expect(Sparkline.text([nil, 0, 1, 4, 7]) == " ▁▃▆█")
        #expect(Sparkline.text([0, 0]) == "▁▁")
        #expect(Sparkline.text([]) == "")
        #expect(Sparkline.text([1e9, 1e-9]) == "█▂")
    }
}

@Suite struct TextLayoutTests {
    @Test(arguments: [
        ("", 5, [""]), ("a b", 5, ["a b"]), ("one two three", 7, ["one two", "three"]),
        ("aaaaaaa", 3, ["aaa", "aaa", "a"]), ("ab cdefgh", 4, ["ab", "cdef", "gh"]), ("日本語", 4, ["日本", "語"]),
        ("مرحبا بكم", 6, ["مرحبا", "بكم"]), ("  a   b  ", 9, ["a b"]), ("日", 1, ["日"]),
    ])
    func wrapping(text: String, width: Int, lines: [String]) { #expect(TextLayout.wrap(text, width) == lines) }

    @Test func cuttingIsShown() {
        #expect(TextLayout.fit("abcdef", 6) == "abcdef")
        #expect(TextLayout.fit("abcdef", 5) == "abcd…")
        #expect(TextLayout.fit("日本語", 5) == "日本…")
        #expect(TextLayout.fit("日本語", 4) == "日…")
        #expect(TextLayout.fit("abc def", 5) == "abc…")
        #expect(TextLayout.fit("abc", 0) == "")
        #expect(TextLayout.pad("日", 4) == "日  ")
        #expect(TextLayout.first(2, of: ["a", "b", "c"], width: 10) == ["a", "b …"])
        #expect(TextLayout.first(3, of: ["a", "b", "c"], width: 10) == ["a", "b", "c"])
    }

    @Test(arguments: 0..<16)
    func aStyledLineFits(width: Int) {
        var line = StyledLine("abc", .bold)
        line.append("日本語", .good)
        line.append(" end")
        #expect(line.fitted(width).columns <= width)
        if width < 13 && width > 0 { #expect(line.fitted(width).plain.last == "…") }
        if width >= 13 { #expect(line.fitted(width) == line) }
    }

    @Test func theLastColumnGivesWay() {
        let table = Table(
            columns: ["id", "error"],
            rows: [[.integer(1), .text("a long story of what went wrong")], [.integer(2), .null]])
        #expect(table.text(width: 20) == "id  error\n──  ────────────────\n 1  a long story of…\n 2  —\n")
        #expect(table.text(width: nil) == table.text)
        #expect(table.without("error").text == "id\n──\n 1\n 2\n")
        #expect(table.only("id", 2).rows.count == 1)
    }
}

@Suite struct JobStoryTests {
    static let failed = [
        "send_job_id": "42", "job_state": "failed", "error": "The user has answered STOP.", "error_code": "21610",
        "remedy": "Ask the user to send START.", "phone_number": "+9665•••••567", "country": "SA", "subject": "user-42",
        "purpose": "phone_verification", "locale": "ar", "channel": "sms", "attempts": "2", "verification_id": "7",
        "wrong_tries": "1", "requested_at": "2026-11-25 22:41:01+00", "ended_at": "2026-11-25 22:41:03+00",
        "final_at": "2026-11-25 22:41:03+00", "code_drawn_at": "2026-11-25 22:41:01+00",
        "code_expires_at": "2026-11-25 22:46:01+00", "code_is_dead": "t", "lookups": "0",
    ]

    @Test func aFailure() {
        #expect(
            JobStory(Self.failed).lines(width: 80).map(\.plain).map { $0.trimmingTrailingSpaces } == [
                "Send job 42: failed",
                "  Why           The user has answered STOP. (Twilio error 21610)",
                "  To do         Ask the user to send START.",
                "  To            +9665•••••567 (SA), subject user-42",
                "  Text          phone_verification in ar by sms",
                "  Attempts      2",
                "  Verification  7, 1 wrong try",
                "",
                "  2026-11-25 22:41:01+00  the code was generated",
                "  2026-11-25 22:41:01+00  the send was requested",
                "  2026-11-25 22:41:03+00  the job ended: failed",
                "  2026-11-25 22:46:01+00  the code expired",
            ])
    }

    /// Twilio writes the cost of a message as a negative price.
    @Test(arguments: [
        ("-0.00750", "0.0075"), ("-0.0380", "0.038"), ("-12.00", "12"), ("-1", "1"), ("0", "0"), ("0.5", "0.5"),
        ("-100", "100"), ("NaN", "NaN"), ("-0.00000", "0"),
    ])
    func aPriceIsShownAsACost(price: String, cost: String) {
        #expect(StatusWords.cost(price) == cost)
        var values = Self.failed
        (values["message_sid"], values["price"], values["price_unit"]) = ("SM1", price, "USD")
        let lines = JobStory(values).lines(width: 80).map(\.plain)
        #expect(lines.contains { $0.hasPrefix("  Message") && $0.hasSuffix("SM1, \(cost) USD") }, "\(lines)")
    }

    @Test func aQueuedOneSaysWhatItWaitsFor() {
        var values = Self.failed
        values["job_state"] = "queued"
        values["hold_kind"] = "pause"
        values["hold_key"] = "country SA"
        values["due_at"] = "2026-11-25 22:46:01+00"
        values["ended_at"] = nil
        values["final_at"] = nil
        let held = JobStory(values).lines(width: 80).map(\.plain)
        #expect(held.contains("  Waits for     the end of a pause: country SA"))
        #expect(!held.contains { $0.hasSuffix("the job is due") })
        values["hold_kind"] = nil
        values["hold_key"] = nil
        #expect(JobStory(values).lines(width: 80).contains { $0.plain.hasSuffix("the job is due") })
    }

    @Test func itTellsWhatCameOfAFailedDelivery() {
        var values = Self.failed
        values["job_state"] = "accepted"
        values["message_status"] = "undelivered"
        values["follow_up"] = "Not sent again: its code was about to expire."
        #expect(
            JobStory(values).lines(width: 80).map(\.plain).contains(
                "  Then          Not sent again: its code was about to expire."))
    }

    @Test(arguments: [30, 80, 200])
    func itFits(width: Int) {
        var values = Self.failed
        values["subject"] = String(repeating: "日本", count: 100)
        // Twilio's words can be any words, and so can those of a server in its place.
        values["message_status"] = "sent\u{1B}[2J"
        values["error"] = String(repeating: "long ", count: 100) + "\u{1B}[2J"
        for line in JobStory(values).lines(width: width) {
            #expect(line.columns <= width)
            #expect(!line.plain.contains("\u{1B}"))
        }
    }
}

extension String {
    fileprivate var trimmingTrailingSpaces: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
