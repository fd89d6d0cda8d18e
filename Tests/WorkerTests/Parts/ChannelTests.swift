import EventLoop
import HTTP
import OTP
import Testing
import Twilio

@testable import Queue
@testable import Worker

@Suite struct ChannelTests {
    @Test("a WhatsApp message goes to its endpoint with template and code, and without a text")
    func whatsApp() async throws {
        try await posting(.whatsapp) { post, parts in
            #expect(post.endpoint == "messages")
            #expect(post.body.hasPrefix("To=whatsapp%3A%2B905321234567&From=whatsapp%3A%2B15550002&"))
            #expect(post.body.hasSuffix("&ContentVariables=%7B%221%22%3A%22123456%22%7D"))
            #expect(!post.body.contains("Body="))
        }
    }

    @Test("a call goes to its own endpoint, with the words of its text and the code digit by digit")
    func call() async throws {
        try await posting(.call) { post, parts in
            #expect(post.endpoint == "calls")
            #expect(post.body.hasPrefix("To=%2B905321234567&From=%2B15550003&"))
            #expect(post.body.contains("Timeout=20") && post.body.contains("Kod+1%3Cbreak"))
        }
    }

    @Test("an SMS of a purpose goes from the purpose's sender, with its app's name")
    func purpose() async throws {
        try await posting(.sms) { post, parts in
            #expect(post.endpoint == "messages" && post.body.contains("&From=Brand&"))
            #expect(post.body.hasSuffix("&Body=123456+is+your+code+for+Second."))
        }
    }

    @Test(
        "without a sender or a template the job is tried once more, then fails, so that the next step begins",
        arguments: [
            (Channel.whatsapp, "content"), (.whatsapp, "sender"), (.call, "sender"),
        ])
    func lacking(channel: Channel, what: String) async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            var rows = Self.rows
            if what == "sender" { rows.channelSenders = [] }
            if what == "content" {
                rows.templates = rows.templates.map { .init(purpose: $0.purpose, locale: $0.locale, text: $0.text) }
            }
            parts.catalog.read(rows)
            let channels = Self.channels(NotingClient(), parts)
            // The row may be missing in this worker's copy alone, until it has reloaded.
            for (attempt, outcome, errorClass) in [(1, UnsentOutcome.retry, nil), (2, .failed, "bad_job")] {
                do throws(Unsendable) {
                    _ = try channels.draft(job(1, channel: channel, attempt: Int32(attempt)))
                    Issue.record("\(channel) was drafted without \(what)")
                } catch {
                    #expect(error.outcome == outcome && error.errorClass == errorClass)
                }
                #expect(parts.catalog.takeStale())
            }
        }
    }

    @Test("a pause of a channel holds its jobs, and no others")
    func paused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.catalog.read(Self.rows)
            parts.pauses.begin(Pause(.channel(.call), reason: "why", remedy: nil, isProbed: true))
            let channels = Self.channels(NotingClient(), parts)
            _ = try channels.draft(job(1))
            _ = try channels.draft(job(2, channel: .whatsapp))
            do throws(Unsendable) {
                _ = try channels.draft(job(3, channel: .call))
                Issue.record("a held call was drafted")
            } catch {
                #expect(error.outcome == .hold && error.holdKey == "channel call")
            }
        }
    }

    @Test("without a row, calls go at Twilio's own rate of one a second")
    func callRate() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.catalog.read(Self.rows)
            #expect(parts.core.machine.rates.rate(of: "call") == 1)
        }
    }

    @Test("a mail server's refusal of the login pauses the channel, a refused address fails its job alone")
    func rejections() {
        var random = SystemRandomNumberGenerator()
        let rule = DispositionRule(classes: .none)
        func decide(_ effect: Rejection.Effect) -> Disposition {
            let why = FailureCause(code: 535, errorClass: .pauseChannel, error: "e", remedy: "r")
            return rule.decide(
                .rejected(Rejection(effect, why: why)), attempt: 1, lifeLeft: .seconds(100), channel: .email,
                using: &random)
        }
        guard case .failed = decide(.pauseChannel).step, case .pause(.channel, _)? = decide(.pauseChannel).effect
        else {
            Issue.record("a refused login does not pause the channel")
            return
        }
        guard case .failed = decide(.fail).step, decide(.fail).effect == nil else {
            Issue.record("no failure")
            return
        }
        guard case .retry = decide(.retry).step else {
            Issue.record("no retry")
            return
        }
        #expect(decide(.throttle).effect == .throttle(retryAfter: nil))
    }

    @Test("the identifier of an e-mail is of its job and request, and is no SID of Twilio's")
    func mailID() throws {
        let sid = MessageSID(mailOf: 0x1234, requestedAt: 0x5_F00D)
        #expect("\(sid)" == "ML00000000000012340000000000" + "05f00d")
        #expect(sid.isMail && !sid.isCall && MessageSID("\(sid)") == sid)
        #expect(!MessageSID.made(1).isMail)
    }

    // MARK: Support

    private static let rows: LoadCatalog.Rows = {
        var rows = LoadCatalog.Rows()
        rows.templates = [
            .init(
                purpose: "login", locale: "en", text: "{code} is your code for {app}.", callText: "Kod {code}",
                contentSID: "HX00000000000000000000000000000001")
        ]
        rows.channelSenders = [("whatsapp", "*", "+15550002"), ("call", "TR", "+15550003")]
        rows.purposes = ["login": (appName: "Second", sender: "Brand")]
        return rows
    }()

    private static func channels(_ client: NotingClient, _ parts: Parts) -> TwilioChannels<NotingClient> {
        TwilioChannels(client, messages: "messages", calls: "calls", catalog: parts.catalog, pauses: parts.pauses)
    }

    private func posting(
        _ channel: Channel, _ check: @escaping @Sendable ((endpoint: String, tag: Int, body: String), Parts) -> Void
    ) async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.catalog.read(Self.rows)
            parts.core.machine.rates.counted(others: 0, at: .now())
            let client = NotingClient()
            let sender = parts.sender(Self.channels(client, parts))
            _ = parts.core.machine.claimEnded(count: 1, limit: 512, oldestAge: .seconds(0), at: .now(), jitter: 0)
            sender.take(claimed([job(1, channel: channel)]), claimedAt: .now())
            check(try #require(client.posted.first), parts)
        }
    }
}
