import Foundation
import Testing

@testable import TwilioSimulator

@Suite struct StatusTests {
    private let delays = StatusDelays()

    @Test(arguments: [
        (Int64(-1), MessageStatus.queued), (0, .queued), (199_999, .queued), (200_000, .sending), (500_000, .sent),
        (1_499_999, .sent), (1_500_000, .delivered), (99_000_000, .delivered),
    ])
    func progresses(age: Int64, status: MessageStatus) {
        let timeline = StatusTimeline(outcome: .delivered, viaService: false, delays: delays)
        #expect(timeline.step(ageMicroseconds: age).status == status)
    }

    @Test func endsAsFated() {
        func words(_ outcome: Outcome, service: Bool = false) -> [MessageStatus] {
            StatusTimeline(outcome: outcome, viaService: service, delays: delays).steps.map(\.status)
        }
        #expect(words(.delivered) == [.queued, .sending, .sent, .delivered])
        #expect(words(.undelivered) == [.queued, .sending, .sent, .undelivered])
        #expect(words(.failed) == [.queued, .sending, .failed])
        #expect(words(.sent) == [.queued, .sending, .sent])
        #expect(words(.delivered, service: true) == [.accepted, .queued, .sending, .sent, .delivered])
    }

    @Test func theCreatingAnswerShowsTheFirstStatusEvenWithoutDelays() throws {
        let none = try #require(StatusDelays(sending: 0, sent: 0, final: 0))
        let timeline = StatusTimeline(outcome: .delivered, viaService: false, delays: none)
        #expect(timeline.step(ageMicroseconds: 0, justCreated: true).status == .queued)
        #expect(timeline.step(ageMicroseconds: 0).status == .delivered)
        #expect(StatusDelays(sending: 5, sent: 4, final: 9) == nil)
        #expect(StatusDelays(sending: -1, sent: 4, final: 9) == nil)
    }

    @Test func callbacksLeaveOutTheFirstStatus() {
        var random = SplitMix64(state: 1)
        let timeline = StatusTimeline(outcome: .delivered, viaService: false, delays: delays)
        func statuses(_ disorder: CallbackSchedule.Disorder) -> [MessageStatus] {
            CallbackSchedule.plan(timeline, disorder: disorder, using: &random).map(\.status)
        }
        #expect(statuses(.init()) == [.sending, .sent, .delivered])
        #expect(statuses(.init(lost: 1)) == [])
        #expect(statuses(.init(duplicated: 1)) == [.sending, .sending, .sent, .sent, .delivered, .delivered])
        #expect(statuses(.init(reversed: 1)) == [.delivered, .sent, .sending])
    }

    @Test func aResourceGrowsAsTwiliosDoes() throws {
        let simulator = try Simulator(settings())
        let reply = simulator.create(body: String(repeating: "ر", count: 71))
        let created = try json(reply.answer.body)
        #expect(reply.answer.status == 201)
        #expect(created["status"] as? String == "queued")
        #expect(created["num_segments"] as? String == "2")
        #expect(created["price"] is NSNull)
        #expect(created["date_sent"] is NSNull)
        let sid = try #require(created["sid"] as? String)
        let sent = try simulator.fetch(sid, at: epoch + second)
        #expect(sent["status"] as? String == "sent")
        #expect(sent["price"] as? String == "-0.01500")
        #expect(sent["date_sent"] as? String == "Tue, 14 Nov 2023 22:13:20 +0000")
        let delivered = try simulator.fetch(sid, at: epoch + 2 * second)
        #expect(delivered["status"] as? String == "delivered")
        #expect(delivered["date_updated"] as? String == "Tue, 14 Nov 2023 22:13:21 +0000")
        #expect(delivered["error_code"] is NSNull)
    }

    @Test func aServiceMessageHasNoSenderAtFirst() throws {
        let simulator = try Simulator(settings())
        let service = "MG" + String(repeating: "a", count: 32)
        let created = try json(simulator.create(from: "", more: [("MessagingServiceSid", service)]).answer.body)
        #expect(created["status"] as? String == "accepted")
        #expect(created["from"] is NSNull)
        #expect(created["num_segments"] as? String == "0")
        #expect(created["messaging_service_sid"] as? String == service)
        let sid = try #require(created["sid"] as? String)
        #expect(try simulator.fetch(sid, at: epoch + second)["from"] as? String == sender)
    }

    @Test(arguments: [("+966590130003", "undelivered", 30003), ("+966590130001", "failed", 30001)])
    func magicEndings(to: String, status: String, code: Int) throws {
        let simulator = try Simulator(settings())
        let sid = try simulator.createdSID(to: to)
        #expect(try simulator.fetch(sid)["error_code"] is NSNull)
        let ended = try simulator.fetch(sid, at: epoch + 2 * second)
        #expect(ended["status"] as? String == status)
        #expect(ended["error_code"] as? Int == code)
        #expect((ended["error_message"] as? String)?.isEmpty == false)
    }

    @Test func aCarrierWithoutReceiptsEndsAtSent() throws {
        let simulator = try Simulator(settings())
        let sid = try simulator.createdSID(to: "+966590100000")
        #expect(try simulator.fetch(sid, at: epoch + 99 * second)["status"] as? String == "sent")
    }

    @Test func redactionEmptiesTheBodyOfWhatWasSent() throws {
        let simulator = try Simulator(settings())
        let sid = try simulator.createdSID()
        let path = simulator.messagePath(sid)
        let early = simulator.send(.post, path, encoded([("Body", "")]))
        #expect(early.answer.status == 409)
        // Sent, and its receipt is on the way.
        let waiting = simulator.send(.post, path, encoded([("Body", "")]), at: epoch + second)
        #expect(try json(waiting.answer.body)["code"] as? Int == 20009)
        let redacted = simulator.send(.post, path, encoded([("Body", "")]), at: epoch + 2 * second)
        #expect(redacted.answer.status == 200)
        #expect(try json(redacted.answer.body)["body"] as? String == "")
        #expect(try simulator.fetch(sid, at: epoch + 2 * second)["body"] as? String == "")
        #expect(simulator.send(.post, path, encoded([("Body", "x")]), at: epoch + 2 * second).answer.status == 400)
    }

    @Test func whatGetsNoReceiptIsRedactedOnceSent() throws {
        let simulator = try Simulator(settings())
        let path = simulator.messagePath(try simulator.createdSID(to: "+966590100000"))
        #expect(simulator.send(.post, path, encoded([("Body", "")]), at: epoch + second).answer.status == 200)
    }

    @Test func aDeletedMessageIsGone() throws {
        let simulator = try Simulator(settings())
        let sid = try simulator.createdSID()
        #expect(simulator.send(.delete, simulator.messagePath(sid)).answer.status == 409)
        #expect(simulator.send(.delete, simulator.messagePath(sid), at: epoch + 2 * second).answer.status == 204)
        #expect(try simulator.fetch(sid, at: epoch + 2 * second)["code"] as? Int == 20404)
        #expect(try simulator.sids(of: simulator.list("", at: epoch + 2 * second)) == [])
    }
}
