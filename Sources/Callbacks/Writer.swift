import EventLoop
import Logging
import OTP
import Postgres
import Queue

/// Writes down what the receiver has taken: in batches, repeated until the database has them, however long it is away.
struct Writer: Sendable {
    let loop: EventLoop
    let inbox: Inbox
    let session: Session
    let batch: Int
    let log: Logger

    /// One statement, and the wait for a connection before it.
    static let patience = Instant.Span.seconds(10)

    /// Writes until the inbox is closed and empty, or until cancelled.
    func run() async {
        for await _ in inbox.arrivals { await writeAll() }
    }

    private func writeAll() async {
        while !Task.isCancelled {
            let receipts = inbox.take(batch)
            if receipts.isEmpty { return }
            await write(receipts)
        }
    }

    /// Writes a batch, in parts where it must be. Cancelled, it gives back what is not written.
    private func write(_ receipts: [Receipt]) async {
        var parts = [receipts]
        var said: String?
        while let part = parts.popLast() {
            if Task.isCancelled {
                inbox.putBack(part)
                continue
            }
            do throws(PostgresError) {
                let connection = try await session.connection(deadline: .now() + Self.patience)
                let known = try await RecordReceipts.run(on: connection, part, deadline: .now() + Self.patience)
                inbox.wrote(part.count, known: known)
            } catch {
                switch WriteRule.decide(error, count: part.count) {
                case .again(let milliseconds):
                    parts.append(part)
                    // What is lost is the session's to report.
                    if case .server(let refusal) = error, milliseconds > 0, said != refusal.sqlstate {
                        said = refusal.sqlstate
                        log.error(
                            "status callbacks can't be written; trying again",
                            metadata: [LogKeys.error: "\(error)", LogKeys.waiting: "\(part.count + inbox.waiting)"])
                    }
                    if milliseconds > 0 { try? await loop.sleep(for: .milliseconds(milliseconds)) }
                case .halve:
                    parts.append(Array(part[(part.count / 2)...]))
                    parts.append(Array(part[..<(part.count / 2)]))
                case .later: inbox.putBack(part)
                case .drop:
                    inbox.dropped(part.count)
                    log.error("a status callback could not be written", metadata: [LogKeys.error: "\(error)"])
                }
            }
        }
    }
}
