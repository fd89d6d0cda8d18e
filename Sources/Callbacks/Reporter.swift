import EventLoop
import Logging
import Runtime

/// Logs how many callbacks came: at most a line a minute, and none if nothing came.
struct Reporter: Sendable {
    let loop: EventLoop
    let buffer: ReceiptBuffer
    let log: Logger

    static let interval = Instant.Duration.seconds(60)

    /// Reports until canceled: the counts once a minute, and troubles at once unless a line was written within the last
    /// minute.
    func run() async {
        let due = Latch(on: loop)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in buffer.troubles { due.signal() }
            }
            group.addTask {
                var last = Counters()
                while !Task.isCancelled {
                    await due.wait(until: .now() + Self.interval)
                    let now = buffer.counters
                    guard now != last, !Task.isCancelled else { continue }
                    report(now, since: last)
                    last = now
                    try? await loop.sleep(for: Self.interval)
                }
            }
        }
    }

    /// Writes the line: the counts since the start, as a warning if callbacks were refused or dropped lately.
    func report(_ now: Counters, since last: Counters) {
        var metadata: Logger.Metadata = [
            LogKeys.received: "\(now.received)", LogKeys.refused: "\(now.refused)",
            LogKeys.malformed: "\(now.malformed)", LogKeys.dropped: "\(now.dropped)",
            LogKeys.written: "\(now.written)", LogKeys.unknown: "\(now.unknown)",
        ]
        if now.refused > last.refused {
            metadata[LogKeys.remedy] =
                """
                If they come from Twilio, make TWILIO_AUTH_TOKEN the account's primary token, and \
                OTPD_CALLBACK_PUBLIC_URL exactly what Twilio calls.
                """
            log.warning("refused status callbacks without a valid signature", metadata: metadata)
        } else if now.dropped > last.dropped {
            log.warning("dropped status callbacks; otpd polls these messages", metadata: metadata)
        } else {
            log.info("status callbacks", metadata: metadata)
        }
    }
}
