import OTP
import Testing

@testable import Callbacks

struct ReceiptBufferTests {
    private func receipt(_ number: Int) throws -> Receipt {
        let digits = String(number)
        let sid = "SM" + String(repeating: "0", count: 32 - digits.count) + digits
        let message = try #require(MessageSID(sid))
        return try #require(Receipt(sid: message, status: .sent, errorCode: nil, attempt: nil))
    }

    @Test func inOrderAndInBatches() throws {
        let buffer = ReceiptBuffer(capacity: 10)
        for number in 1...5 { buffer.enqueue(try receipt(number)) }
        #expect(buffer.take(2) == [try receipt(1), try receipt(2)])
        #expect(buffer.take(9) == [try receipt(3), try receipt(4), try receipt(5)])
        #expect(buffer.take(9).isEmpty)
    }

    @Test func whatDoesNotFitIsDroppedAndCounted() throws {
        let buffer = ReceiptBuffer(capacity: 3)
        for number in 1...5 { buffer.enqueue(try receipt(number)) }
        #expect(buffer.waiting == 3)
        #expect(buffer.counters == Counters(received: 5, dropped: 2))
        _ = buffer.take(1)
        buffer.enqueue(try receipt(6))
        #expect(buffer.take(9).last == (try receipt(6)))
    }

    /// What was taken and could not be written keeps its place whatever came meanwhile.
    @Test func whatComesBackAlwaysFits() throws {
        let buffer = ReceiptBuffer(capacity: 2)
        buffer.enqueue(try receipt(1))
        let taken = buffer.take(1)
        for number in 2...4 { buffer.enqueue(try receipt(number)) }
        buffer.requeue(taken)
        #expect(buffer.take(9) == [try receipt(2), try receipt(3), try receipt(1)])
        #expect(buffer.counters.dropped == 1)
    }

    @Test func closedItTakesNoMoreAndGivesWhatItHas() async throws {
        let buffer = ReceiptBuffer(capacity: 10)
        buffer.enqueue(try receipt(1))
        buffer.close()
        buffer.enqueue(try receipt(2))
        #expect(buffer.counters == Counters(received: 2, dropped: 1))
        // It says that there is something, and then that there is no more.
        var arrivals = 0
        for await _ in buffer.arrivals { arrivals += 1 }
        #expect(arrivals == 1)
        #expect(buffer.take(9) == [try receipt(1)])
    }

    @Test func counts() {
        let buffer = ReceiptBuffer(capacity: 1)
        for answer in HTTPReply.allCases { buffer.refused(answer) }
        #expect(buffer.counters == Counters(refused: 1, malformed: 8))
        buffer.wrote(5, known: 3)
        buffer.dropped(1)
        #expect(buffer.counters == Counters(refused: 1, malformed: 8, dropped: 1, written: 5, unknown: 2))
    }
}
