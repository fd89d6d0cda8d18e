import EventLoop
import HTTP
import OTP
import Testing
import Twilio

@testable import Queue
@testable import Worker

/// An HTTP client that keeps what is posted.
final class NotingClient: PostClient {
    var posted: [(endpoint: String, tag: Int, body: String)] = []
    var distrusted = 0

    func post(_ endpoint: String, tag: Int, leaseEnd: Instant, fill: (inout [UInt8]) -> Void) {
        var body: [UInt8] = []
        fill(&body)
        posted.append((endpoint, tag, String(decoding: body, as: UTF8.self)))
    }

    func retireConnections() { distrusted += 1 }
}

@Suite struct SMSChannelTests {
    @Test("the whole path writes Twilio's form, to the endpoint that is in force")
    func posts() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let client = NotingClient()
            let sender = parts.sender(channel(client, parts))
            sender.channel.endpoint = "newer"
            _ = parts.core.machine.claimEnded(count: 1, limit: 512, oldestAge: .seconds(0), at: .now(), jitter: 0)
            sender.take(claimed([job(1)]), claimedAt: .now())
            let post = try #require(client.posted.first)
            #expect(client.posted.count == 1 && post.endpoint == "newer" && post.tag == 0)
            #expect(post.body.hasPrefix("To=%2B905321234567&From=%2B15550001&ValidityPeriod="))
            #expect(post.body.hasSuffix("&Body=123456+is+your+code+for+App."))
        }
    }

    @Test("without a template the job waits, and the catalog is reloaded")
    func noText() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let why = refusal(channel(NotingClient(), parts), job(1, locale: "tr"))
            #expect(why?.outcome == .retry && why?.delay == .seconds(2))
            #expect(parts.catalog.takeStale())
        }
    }

    @Test("a number that a pause holds waits for its end")
    func paused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.pauses.begin(Pause(.country(Region("TR")!), reason: "why", remedy: nil, isProbed: true))
            let why = refusal(channel(NotingClient(), parts), job(1))
            #expect(why?.outcome == .hold && why?.holdKey == "country TR")
        }
    }

    @Test("a number that is none fails its job")
    func noNumber() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let refused = Result { () throws(PhoneNumber.FormError) in try PhoneNumber(e164: "5") }
            let bad = ClaimedJob(id: 1, recipient: refused, country: "", code: try Code("123456"))
            #expect(refusal(channel(NotingClient(), parts), bad)?.errorClass == "invalid_number")
        }
    }

    @Test("a text that is too long fails its job, and none of it is posted")
    func tooLong() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, app: String(repeating: "A", count: 2000)).ready()
            let client = NotingClient()
            let sender = parts.sender(channel(client, parts))
            _ = parts.core.machine.claimEnded(count: 1, limit: 512, oldestAge: .seconds(0), at: .now(), jitter: 0)
            sender.take(claimed([job(1)]), claimedAt: .now())
            #expect(client.posted.isEmpty && parts.core.tally.failed == 1 && parts.core.machine.inFlight == 0)
        }
    }

    private func channel(_ client: NotingClient, _ parts: Parts) -> SMSChannel<NotingClient> {
        SMSChannel(client, endpoint: "first", catalog: parts.catalog, pauses: parts.pauses)
    }

    private func refusal(_ channel: SMSChannel<NotingClient>, _ job: ClaimedJob) -> Unsendable? {
        do throws(Unsendable) { _ = try channel.draft(job) } catch { return error }
        return nil
    }
}
