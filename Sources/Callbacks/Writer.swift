import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime
import Tracing

/// Records the callbacks that the receiver took, in batches. A batch is repeated until the database has it, however
/// long that takes.
struct Writer: Sendable {
    let loop: EventLoop
    let buffer: ReceiptBuffer
    let session: Session
    let batch: Int
    let log: Logger
    /// Nil without traces.
    var tracer: Tracer?

    /// One statement, and the wait for a connection before it.
    static let timeout = Instant.Duration.seconds(10)

    /// Callbacks that are written together, with the number of their tries. Those that were set aside have a time for
    /// the next try.
    private struct Part {
        var receipts: [Receipt]
        var tries = 0
        var due = Instant(nanoseconds: 0)
    }

    /// How often it checks whether a callback that was set aside is due.
    private static let checkInterval = Instant.Duration.milliseconds(100)
    /// Callbacks that may be set aside. The oldest make room, and their messages are polled.
    private static let mostAside = 10_000

    /// Writes until the buffer is closed and empty, or until canceled.
    func run() async {
        var aside: [Part] = []
        for await _ in buffer.arrivals { await writeAll(&aside) }
        // The buffer is closed. Callbacks that were set aside are tried until the receiver stops.
        while !aside.isEmpty, !Task.isCancelled { await writeAll(&aside) }
        for part in aside { buffer.requeue(part.receipts) }
    }

    /// Writes until nothing waits: new callbacks first, one that was set aside after each batch.
    private func writeAll(_ aside: inout [Part]) async {
        while !Task.isCancelled {
            let receipts = buffer.take(batch)
            if !receipts.isEmpty { await write(Part(receipts: receipts), &aside) }
            let now = Instant.now()
            if let next = aside.indices.min(by: { aside[$0].due < aside[$1].due }), aside[next].due <= now {
                await write(aside.remove(at: next), &aside)
            } else if receipts.isEmpty {
                if aside.isEmpty { return }
                try? await loop.sleep(for: Self.checkInterval)
            }
        }
    }

    /// Writes a batch, in parts if necessary. If canceled, it gives back what is not written.
    private func write(_ first: Part, _ aside: inout [Part]) async {
        var parts = [first]
        var errors = LogOnce()
        while var part = parts.popLast() {
            if Task.isCancelled {
                buffer.requeue(part.receipts)
                continue
            }
            let began = Instant.now()
            do throws(PostgresError) {
                let connection = try await session.connection(deadline: .now() + Self.timeout)
                let known = try await RecordReceipts.run(
                    on: connection, part.receipts, deadline: .now() + Self.timeout)
                buffer.wrote(part.receipts.count, known: known)
                await trace(part.receipts, began: began, on: connection)
            } catch {
                part.tries += 1
                let count = part.receipts.count
                let step = WriteRule.decide(error, count: count, tries: part.tries)
                if case .server(let refusal) = error, step != .again(after: 0), errors.isNew(refusal.sqlstate) {
                    log.error(
                        "cannot record status callbacks; trying again",
                        metadata: .of(error, [LogKeys.waiting: "\(count + buffer.waiting + aside.count)"]))
                }
                switch step {
                case .again(let milliseconds):
                    parts.append(part)
                    // The session logs a lost connection.
                    if milliseconds > 0 { try? await loop.sleep(for: .milliseconds(milliseconds)) }
                case .halve:
                    parts.append(Part(receipts: Array(part.receipts[(count / 2)...])))
                    parts.append(Part(receipts: Array(part.receipts[..<(count / 2)])))
                case .later(let milliseconds):
                    part.due = .now() + .milliseconds(milliseconds)
                    aside.append(part)
                    if aside.count > Self.mostAside { drop(aside.removeFirst(), error) }
                case .drop: drop(part, error)
                }
            }
        }
    }

    /// Records the spans of receipts whose requests have a trace. A role that may only call `otp.record_status` may not read
    /// which these are, and then there are none.
    private func trace(_ receipts: [Receipt], began: Instant, on connection: Connection) async {
        guard let tracer else { return }
        let statuses = receipts.map { (job: $0.attempt?.job, sid: $0.sid.description, status: $0.status.rawValue) }
        let traced = try? await TracedMessages.run(on: connection, statuses, deadline: .now() + Self.timeout)
        for message in traced ?? [] {
            let (receipt, sid) = (receipts[message.index], statuses[message.index].sid)
            tracer.record(
                .receipt(message.receipt(sid: sid, receipt.status.rawValue, receipt.errorCode, .callback)),
                .linked(to: message.caller), began: began, ended: .now())
        }
    }

    private func drop(_ part: Part, _ error: PostgresError) {
        buffer.dropped(part.receipts.count)
        log.error(
            "gave up a status callback that could not be recorded; otpd polls its message",
            metadata: .of(error))
    }
}
