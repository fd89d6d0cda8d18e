import HTTPServer
import OTP
import Testing

@testable import otpd

/// Who may read what, and who is heard no more.
struct DashboardRuleTests {
    private static let token = String(repeating: "t", count: 32)

    private static func rule(token: String? = token) -> DashboardRule {
        DashboardRule(
            DashboardSettings(listen: ListenAddress(host: "0.0.0.0", port: 1), token: token.map { Secret($0) }))
    }

    private static func status(_ decision: DashboardRule.Decision) -> Int {
        switch decision {
        case .answer(let answer): answer.status
        case .read: 0
        }
    }

    private static func request(
        _ path: String, query: String = "", host: String = "localhost:9464", token: String? = nil,
        client: String = "10.0.0.1"
    ) -> PageRequest {
        PageRequest(
            path: path, query: query, host: host, authorization: token.map { "Bearer \($0)" }, client: client)
    }

    @Test func eachPath() {
        var rule = Self.rule(token: nil)
        for path in ["/", "/dashboard.css", "/dashboard.js", "/healthz"] {
            #expect(Self.status(rule.decide(Self.request(path), now: 0)) == 200, "\(path)")
        }
        #expect(rule.decide(Self.request("/api/status.json"), now: 0) == .read(.status))
        #expect(rule.decide(Self.request("/api/history.json", query: "span=hour"), now: 0) == .read(.hour))
        #expect(rule.decide(Self.request("/api/history.json", query: "span=day"), now: 0) == .read(.day))
        #expect(rule.decide(Self.request("/metrics"), now: 0) == .read(.metrics))
        #expect(rule.decide(Self.request("/readyz"), now: 0) == .read(.readiness(detailed: true)))
        for query in ["", "span=week", "span=day&x"] {
            #expect(Self.status(rule.decide(Self.request("/api/history.json", query: query), now: 0)) == 400)
        }
        for path in [
            "", "//", "/index.html", "/metrics/", "/../etc/passwd", "http://localhost/metrics", "/API/status.json",
        ] {
            #expect(Self.status(rule.decide(Self.request(path), now: 0)) == 404, "\(path)")
        }
    }

    /// The files of the page hold no figures: a browser loads them, and then asks for the token.
    @Test func withATokenThePageLoadsAndTheFiguresDoNot() {
        var rule = Self.rule()
        for path in ["/", "/dashboard.css", "/dashboard.js", "/healthz"] {
            #expect(Self.status(rule.decide(Self.request(path), now: 0)) == 200, "\(path)")
        }
        for (path, query) in [("/api/status.json", ""), ("/api/history.json", "span=day"), ("/metrics", "")] {
            #expect(Self.status(rule.decide(Self.request(path, query: query), now: 0)) == 401, "\(path)")
            #expect(Self.status(rule.decide(Self.request(path, query: query, token: "no"), now: 0)) == 401, "\(path)")
            #expect(
                Self.status(rule.decide(Self.request(path, query: query, token: Self.token), now: 0)) == 0, "\(path)")
        }
        #expect(rule.decide(Self.request("/readyz"), now: 0) == .read(.readiness(detailed: false)))
        #expect(rule.decide(Self.request("/readyz", token: Self.token), now: 0) == .read(.readiness(detailed: true)))
    }

    /// A foreign site whose name was made to mean 127.0.0.1: the browser tells whose page it thinks it reads.
    @Test func withoutATokenOnlyByOwnNames() {
        var rule = Self.rule(token: nil)
        for host in [
            "evil.example", "evil.example:9464", "", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1",
        ] {
            #expect(Self.status(rule.decide(Self.request("/api/status.json", host: host), now: 0)) == 403, "\(host)")
            #expect(Self.status(rule.decide(Self.request("/healthz", host: host), now: 0)) == 200, "\(host)")
        }
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:9464", "[::1]:9464", "127.9.9.9"] {
            #expect(rule.decide(Self.request("/api/status.json", host: host), now: 0) == .read(.status), "\(host)")
        }
        var open = Self.rule()
        #expect(
            open.decide(Self.request("/metrics", host: "otpd.internal", token: Self.token), now: 0) == .read(.metrics))
    }
}

struct TokenGuardTests {
    private static let token = String(repeating: "t", count: 32)

    @Test(arguments: [
        (String?.none, TokenGuard.AuthDecision.missing), ("", .missing), ("Basic dDp0", .missing), ("Bearer", .missing),
        ("Bearer ", .missing), ("Bearer \(token)", .allowed), ("bearer \(token)", .allowed),
        ("Bearer \(token)t", .wrong), ("Bearer \(token.dropLast())", .wrong), ("Bearer x\(token.dropFirst())", .wrong),
        (token, .missing), ("Bearer \(token) \(token)", .wrong),
    ])
    func verdicts(header: String?, verdict: TokenGuard.AuthDecision) {
        var tokens = TokenGuard(token: Secret(Self.token))
        #expect(tokens.decide(header, client: "a", now: 0) == verdict)
        #expect(tokens.refused == (verdict == .wrong ? 1 : 0))
    }

    @Test func wrongTokensWaitAndTheRightOneNever() {
        var tokens = TokenGuard(token: Secret(Self.token))
        for guess in 0..<10 { #expect(tokens.decide("Bearer \(guess)", client: "a", now: 0) == .wrong) }
        #expect(tokens.decide("Bearer x", client: "a", now: 0) == .tooMany(retryAfter: 6))
        // A reader with the right token behind the same proxy, or after a mistake.
        #expect(tokens.decide("Bearer \(Self.token)", client: "a", now: 0) == .allowed)
        #expect(tokens.decide("Bearer \(Self.token)", client: "b", now: 0) == .allowed)
        #expect(tokens.decide(nil, client: "a", now: 0) == .missing)
        // The right token does not wash off the wrong ones.
        #expect(tokens.decide("Bearer x", client: "a", now: 5.9) == .tooMany(retryAfter: 1))
        #expect(tokens.decide("Bearer x", client: "a", now: 6.1) == .wrong)
        #expect(tokens.decide("Bearer x", client: "a", now: 6.2) == .tooMany(retryAfter: 6))
        #expect(tokens.refused == 14)
    }

    /// A day of guesses from one address: ten, and then ten a minute.
    @Test func howManyGuessesADayHas() {
        var tokens = TokenGuard(token: Secret(Self.token))
        var looked = 0
        for second in 0..<86_400 where tokens.decide("Bearer x", client: "a", now: Double(second)) == .wrong {
            looked += 1
        }
        #expect(looked <= 10 + 86_400 / 6)
    }

    @Test(arguments: [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", true), ("2001:db8:1:2::", "2001:db8:1:3::", false),
        ("::1", "::2", true), ("10.0.0.1", "10.0.0.2", false), ("fe80::1", "fe80::2", true),
    ])
    func aClientHasHalfOfAnIPv6Address(one: String, other: String, isSame: Bool) {
        var tokens = TokenGuard(token: Secret(Self.token))
        for _ in 0..<10 { _ = tokens.decide("Bearer x", client: one, now: 0) }
        let verdict = tokens.decide("Bearer x", client: other, now: 0)
        #expect(verdict == (isSame ? .tooMany(retryAfter: 6) : .wrong))
    }

    @Test func strangersFillNoMemory() {
        var tokens = TokenGuard(token: Secret(Self.token))
        for client in 0..<5_000 { _ = tokens.decide("Bearer x", client: "c\(client)", now: 0) }
        let remembered = Mirror(reflecting: tokens).children.first { $0.label == "debts" }
            .map { Mirror(reflecting: $0.value).children.count }
        #expect(remembered == TokenGuard.clients)
    }
}

/// The texts: what Prometheus reads and what the page's script reads.
struct DashboardTextTests {
    private static var history: DashboardHistory {
        var history = DashboardHistory()
        history.now = 1_000_000
        let point = DashboardHistory.Point(
            at: 999_960, minutes: 1, queued: 4, due: 2, oldest: 1.25, accepted: 90, failed: 3, p50: 50.4, p95: nil,
            p99: nil, delivered: 60, undelivered: 20)
        history.points = [point]
        history.deliveries = [("SA", "delivered", 5)]
        history.channels = [
            DashboardHistory.Channel(channel: "call", messages: 9, delivered: 0, undelivered: 2, verified: 4)
        ]
        history.channelSpend = [
            DashboardHistory.ChannelSpend(channel: "call", currency: "USD", billed: "0.30", expected: "0.2")
        ]
        history.feedback = [("confirmed", 40), ("given_up", 1)]
        history.riskChecks = [("passed", 7), ("refused", 2)]
        history.spend = [
            DashboardHistory.Spend(currency: "USD", billed: "1.50", expected: "0.2", budget: "10"),
            DashboardHistory.Spend(currency: "EUR", billed: "0.3", expected: "0", budget: nil),
        ]
        return history
    }

    @Test func theDatabaseIsAway() {
        let text = Metrics.text(nil, nil, refusedTokens: 3)
        #expect(
            text.split(separator: "\n").filter { !$0.hasPrefix("#") } == [
                "otpd_build_info{version=\"\(Version.number)\"} 1", "otpd_database_up 0",
            ])
    }

    @Test func everyMetric() {
        var snapshot = StatusFixture.troubled
        snapshot.workers[0].host = "a\"b\\c\nd"
        snapshot.workers[0].callbacks = (5, 4, 3, 2)
        snapshot.workers[0].spans = (exported: 9, dropped: 8, failed: 7)
        snapshot.numbersDays = 3
        snapshot.workers[1].state = "stopped"
        var own = StatusSnapshot.Pause()
        own.scope = "worker 8"
        snapshot.pauses.append(own)
        own.scope = "all"
        snapshot.pauses.append(own)
        let text = Metrics.text(snapshot, Self.history, refusedTokens: 3)
        let host = #"a\"b\\c\nd"#
        for line in [
            "otpd_database_up 1", #"otpd_queue_jobs{state="queued"} 12"#, #"otpd_queue_jobs{state="unknown"} 0"#,
            "otpd_queue_oldest_due_seconds 1.4", "otpd_workers_alive 2",
            #"otpd_worker_up{worker="8",host="\#(host)"} 1"#,
            #"otpd_worker_up{worker="5",host="web-3"} 0"#,
            #"otpd_worker_sends_total{worker="8",host="\#(host)",outcome="accepted"} 8000"#,
            #"otpd_worker_claims_total{worker="8",host="\#(host)"} 0"#,
            #"otpd_worker_in_flight{worker="5",host="web-3"} 0"#,
            #"otpd_worker_callbacks_total{worker="8",host="\#(host)",result="dropped"} 3"#,
            #"otpd_worker_spans_total{worker="8",host="\#(host)",result="failed"} 7"#,
            "otpd_number_table_age_seconds 259200",
            #"otpd_ended_1m{outcome="accepted"} 1204"#, #"otpd_ended_5m{outcome="failed"} 2"#,
            #"otpd_ended_1h{outcome="failed"} 41"#, #"otpd_latency_seconds{quantile="0.99"} 1.24"#,
            #"otpd_paused{scope="country",key="SA"} 1"#, #"otpd_paused{scope="worker",key="8"} 1"#,
            #"otpd_paused{scope="all",key=""} 1"#, "otpd_pauses 3",
            #"otpd_spend_today{kind="billed",currency="USD"} 1.50"#,
            #"otpd_spend_today{kind="expected",currency="EUR"} 0"#, #"otpd_budget_today{currency="USD"} 10"#,
            "otpd_sent_twice_total 0", "otpd_dashboard_refused_total 3",
            #"otpd_feedback_total{outcome="confirmed"} 40"#,
            #"otpd_risk_checks_total{outcome="refused"} 2"#,
        ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
        #expect(!text.contains(#"otpd_worker_up{worker="7""#), "one that was stopped is not down")
        // Every sample has its HELP and TYPE before it, once.
        var described: Set<Substring> = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("# TYPE ") { #expect(described.insert(words[2]).inserted, "\(line)") }
            if !line.hasPrefix("#") { #expect(described.contains(line.prefix { $0 != "{" && $0 != " " }), "\(line)") }
        }
    }

    @Test func limitsAndRefusals() {
        let text = Metrics.text(StatusFixture.limited, Self.history, refusedTokens: 0)
        for line in [
            "otpd_limits_used_up 1", #"otpd_limit_used_up{scope="country",key="SA",period="day"} 1"#,
            #"otpd_requests_refused_total{scope="country"} 1200"#, #"otpd_requests_refused_total{scope="phone"} 7"#,
        ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
        #expect(!text.contains(#"scope="total""#), "one that is not used up")
        let json = DashboardJSON.status(StatusFixture.limited, host: "web-1", server: "db:5432").text
        #expect(json.contains(#"{"name":"total","period":"hour","allowed":1000,"used":850,"usedUpUntil":null,"#))
        #expect(json.contains(#""refusals":[{"scope":"country","all":1200,"lastHour":40},"#))
    }

    @Test func holds() {
        let text = Metrics.text(StatusFixture.held, Self.history, refusedTokens: 0)
        for line in [#"otpd_fraud_holds{scope="country"} 1"#, #"otpd_fraud_holds{scope="network"} 0"#] {
            #expect(text.contains("\n\(line)\n"), "\(line)")
        }
        let json = DashboardJSON.status(StatusFixture.held, host: "web-1", server: "db:5432").text
        #expect(
            json.contains(
                #"{"name":"new networks and numbers, country SA","enforced":true,"explanation":"31 texts are out whose codes "#
                    + #"were not used; 30 are allowed.","remedy":"It ends by itself when codes are used again.","seconds":720,"#
                    + #""letThrough":25,"letThroughUsed":3}"#), "\(json)")
    }

    @Test func channels() {
        let text = Metrics.text(StatusFixture.routed, Self.history, refusedTokens: 0)
        for line in [
            #"otpd_channel_queued_jobs{channel="sms"} 8"#, #"otpd_channel_queued_jobs{channel="call"} 4"#,
            #"otpd_channel_workers_alive{channel="email"} 0"#,
            #"otpd_channel_ended_5m{channel="call",outcome="accepted"} 103"#,
            #"otpd_channel_ended_1h{channel="call",outcome="failed"} 11"#,
            #"otpd_channel_ended_1h{channel="whatsapp",outcome="accepted"} 0"#,
            #"otpd_channel_messages_1h{channel="call"} 9"#, #"otpd_channel_undelivered_1h{channel="call"} 2"#,
            #"otpd_channel_verified_1h{channel="call"} 4"#, #"otpd_channel_verified_1h{channel="sms"} 0"#,
            #"otpd_channel_spend_today{channel="call",kind="billed",currency="USD"} 0.30"#, "otpd_route_problems 1",
        ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
        let json = DashboardJSON.status(StatusFixture.routed, host: "web-1", server: "db:5432").text
        #expect(
            json.contains(
                #"{"channel":"call","used":true,"workersAlive":2,"queued":4,"accepted":[14,103,233],"#
                    + #""failed":[0,1,11],"problem":null}"#), "\(json)")
        #expect(json.contains(#""problem":"step 3 of the route for any purpose, SA: No running worker"#))
        #expect(json.contains(#"{"channel":"whatsapp","used":false,"#))
    }

    @Test func withoutALatencyOrABudgetThereIsNone() {
        var snapshot = StatusFixture.working
        snapshot.queue.latency = nil
        let text = Metrics.text(snapshot, DashboardHistory(), refusedTokens: 0)
        for name in [
            "otpd_latency_seconds", "otpd_budget_today", "otpd_paused{", "otpd_worker_callbacks_total",
            "otpd_worker_spans",
        ] {
            #expect(!text.contains(name), "\(name)")
        }
    }

    @Test func historyInColumns() {
        #expect(
            DashboardJSON.history(Self.history, isDay: false).text == """
                {"now":1000000,"step":60,"length":60,"at":[999960],"queued":[4],"due":[2],"oldest":[1.3],"accepted":[1.5],\
                "failed":[0.05],"p50":[50],"p95":[null],"p99":[null],"delivered":[75],\
                "deliveries":[{"country":"SA","status":"delivered","messages":5}],\
                "channels":[{"channel":"call","messages":9,"delivered":0,"undelivered":2,"verified":4}],\
                "channelSpend":[{"channel":"call","currency":"USD","billed":0.30,"expected":0.2}],\
                "spend":[{"currency":"USD","billed":1.50,"expected":0.2,"budget":10},\
                {"currency":"EUR","billed":0.3,"expected":0,"budget":null}]}
                """)
        var history = Self.history
        (history.points[0].minutes, history.points[0].delivered, history.points[0].undelivered) = (3, 0, 0)
        let day = DashboardJSON.history(history, isDay: true).text
        #expect(day.contains(#""step":300,"length":288"#))
        #expect(day.contains(#""accepted":[0.5]"#), "per second of the minutes that are known")
        #expect(day.contains(#""delivered":[null]"#), "nothing has ended: no share")
    }

    @Test func statusSaysWhatOtpdStatusSays() {
        let text = DashboardJSON.status(StatusFixture.troubled, host: "web-1\u{1B}", server: "db:5432").text
        let verdict = StatusVerdict.of(StatusFixture.troubled)
        #expect(text.contains(#""level":"bad","headline":"\#(verdict.headline)""#))
        #expect(text.contains(#""phone":"+9665•••••567""#))
        #expect(text.contains(#""state":"dead""#))
        #expect(text.contains(#""nextProbeSeconds":20,"held":12"#))
        #expect(text.contains(#""host":"web-1\\u{1B}","database":"app","server":"db:5432""#), "\(text.prefix(200))")
    }

    @Test(arguments: [
        (JSON.double(.nan), "null"), (.double(-.infinity), "null"), (.double(1e20), "1e+20"), (.double(3), "3"),
        (.number("1.50"), "1.50"), (.number("NaN"), "null"), (.string("a\"\u{1}</script>"), #""a\"\u0001</script>""#),
        (.array([.int(-1), .null, .bool(true)]), "[-1,null,true]"), (.object([]), "{}"),
    ])
    func json(value: JSON, text: String) { #expect(value.text == text) }

    /// What is compiled in: no style and no script within the page, which the Content-Security-Policy would refuse.
    @Test func thePageKeepsToItsPolicy() {
        let html = String(decoding: DashboardPages.html.body, as: UTF8.self)
        #expect(html.hasPrefix("<!doctype html>"))
        for word in ["<style", " style=", "onclick", "onload", "javascript:", "https://", "//cdn"] {
            #expect(!html.contains(word), "\(word)")
        }
        #expect(html.ranges(of: "<script").count == 1)
        let js = String(decoding: DashboardPages.js.body, as: UTF8.self)
        for word in ["innerHTML", "eval(", "document.cookie", "localStorage", "document.write", ".style"] {
            #expect(!js.contains(word), "\(word)")
        }
        #expect(!DashboardPages.css.body.isEmpty)
    }
}

struct DashboardSettingsTests {
    private static func read(_ environment: [String: String]) -> Result<Settings.DashboardOnly, SettingsProblems> {
        Settings.dashboard(environment: environment) { _ in throw FileError(code: 2) }
    }

    @Test func aloneItNeedsNothing() throws {
        let settings = try Self.read([:]).get()
        #expect(settings.dashboard.listen.description == "127.0.0.1:9464")
        #expect(settings.dashboard.token == nil)
        #expect(settings.dashboard.listen.isLoopback)
    }

    @Test func inRunItIsOffUntilAnAddressIsSet() throws {
        #expect(try Fixture.settings().dashboard == nil)
        #expect(try Fixture.settings(["OTPD_DASHBOARD_LISTEN": "127.0.0.1:1"]).dashboard?.listen.port == 1)
    }

    @Test func anyAddressButLoopbackNeedsAToken() throws {
        let token = String(repeating: "tokenABC", count: 4)
        #expect(throws: SettingsProblems.self) { try Self.read(["OTPD_DASHBOARD_LISTEN": "0.0.0.0:1"]).get() }
        let settings = try Self.read(["OTPD_DASHBOARD_LISTEN": "0.0.0.0:1", "OTPD_DASHBOARD_TOKEN": token]).get()
        #expect(settings.dashboard.token?.revealed == token)
        let problems = Fixture.problems(["OTPD_DASHBOARD_LISTEN": "0.0.0.0:1"])
        #expect(problems.count == 1)
        #expect(problems[0].contains("OTPD_DASHBOARD_TOKEN is not set. Listen on 127.0.0.1, or set a token."))
    }
}
