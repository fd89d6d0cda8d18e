import OTP
import Testing

@testable import Callbacks

struct InboxTests {
    private func receipt(_ number: Int) throws -> Receipt {
        let digits = String(number)
        let sid = "SM" + String(repeating: "0", count: 32 - digits.count) + digits
        let message = try #require(MessageSID(sid))
        return try #require(Receipt(sid: message, status: .sent, errorCode: nil, attempt: nil))
    }

    @Test func inOrderAndInBatches() throws {
        let inbox = Inbox(capacity: 10)
        for number in 1...5 { inbox.put(try receipt(number)) }
        #expect(inbox.take(2) == [try receipt(1), try receipt(2)])
        #expect(inbox.take(9) == [try receipt(3), try receipt(4), try receipt(5)])
        #expect(inbox.take(9).isEmpty)
    }

    @Test func whatDoesNotFitIsDroppedAndCounted() throws {
        let inbox = Inbox(capacity: 3)
        for number in 1...5 { inbox.put(try receipt(number)) }
        #expect(inbox.waiting == 3)
        #expect(inbox.counters == Counters(received: 5, dropped: 2))
        _ = inbox.take(1)
        inbox.put(try receipt(6))
        #expect(inbox.take(9).last == (try receipt(6)))
    }

    /// What was taken and could not be written keeps its place whatever came meanwhile.
    @Test func whatComesBackAlwaysFits() throws {
        let inbox = Inbox(capacity: 2)
        inbox.put(try receipt(1))
        let taken = inbox.take(1)
        for number in 2...4 { inbox.put(try receipt(number)) }
        inbox.putBack(taken)
        #expect(inbox.take(9) == [try receipt(2), try receipt(3), try receipt(1)])
        #expect(inbox.counters.dropped == 1)
    }

    @Test func closedItTakesNoMoreAndGivesWhatItHas() async throws {
        let inbox = Inbox(capacity: 10)
        inbox.put(try receipt(1))
        inbox.close()
        inbox.put(try receipt(2))
        #expect(inbox.counters == Counters(received: 2, dropped: 1))
        // It says that there is something, and then that there is no more.
        var arrivals = 0
        for await _ in inbox.arrivals { arrivals += 1 }
        #expect(arrivals == 1)
        #expect(inbox.take(9) == [try receipt(1)])
    }

    @Test func counts() {
        let inbox = Inbox(capacity: 1)
        for answer in Answer.allCases { inbox.refused(answer) }
        #expect(inbox.counters == Counters(refused: 1, malformed: 8))
        inbox.wrote(5, known: 3)
        inbox.dropped(1)
        #expect(inbox.counters == Counters(refused: 1, malformed: 8, dropped: 1, written: 5, unknown: 2))
    }
}
