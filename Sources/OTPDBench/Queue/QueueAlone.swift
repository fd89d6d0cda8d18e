internal import EventLoop
internal import OTP
internal import Postgres
internal import Queue

/// The queue without HTTP: otpd's own claim and finish statements, one batch after the other on two connections, so that
/// one batch is finished while the next is claimed. What throughput would be if Twilio and libcurl cost nothing.
enum QueueAlone {
    static let batch = 256
    private static let keys = CodeKeys(Secret(ChildProcess.variable("OTPD_SECRET") ?? ""))

    /// Jobs per second, from the first claim until the last finish.
    static func perSecond(_ database: Database, jobs: Int, on loop: EventLoop) async throws -> Double {
        let claims = try await Connection.open(database.settings, on: loop, deadline: .now() + .seconds(10))
        let records = try await Connection.open(database.settings, on: loop, deadline: .now() + .seconds(10))
        let worker = try await Register.run(on: claims, deadline: .now() + .seconds(10))
        var serial: UInt64 = 0
        var done = 0
        let start = Instant.now()
        var next = try await claim(on: claims, worker: worker)
        while !next.jobs.isEmpty {
            let claimed = next.jobs
            async let following = claim(on: claims, worker: worker)
            try await finish(claimed, serial: serial, on: records, worker: worker)
            serial += UInt64(claimed.count)
            done += claimed.count
            next = try await following
        }
        let span = (Instant.now() - start).seconds
        await claims.close()
        await records.close()
        guard done == jobs else { throw BenchError("the queue alone handled \(done) of \(jobs) jobs") }
        return Double(done) / span
    }

    /// Milliseconds of each of `count` claims, each finished before the next.
    static func claims(_ database: Database, count: Int, on loop: EventLoop) async throws -> [Double] {
        let connection = try await Connection.open(database.settings, on: loop, deadline: .now() + .seconds(10))
        let worker = try await Register.run(on: connection, deadline: .now() + .seconds(10))
        var spans: [Double] = []
        var serial = UInt64(1) << 32
        // The first prepares the statements and does not count.
        for index in 0...count {
            let start = Instant.now()
            let claimed = try await claim(on: connection, worker: worker).jobs
            if index > 0 { spans.append((Instant.now() - start).seconds * 1000) }
            guard claimed.count == batch else { throw BenchError("a claim brought \(claimed.count) jobs of \(batch)") }
            try await finish(claimed, serial: serial, on: connection, worker: worker)
            serial += UInt64(claimed.count)
        }
        await connection.close()
        return spans
    }

    /// Serves due jobs at `perSecond`, plainly the oldest first, until cancelled: what otpd would do without an order for
    /// overload. By job (its phone number's last seven digits): when it was handled, in microseconds since 1970.
    static func oldestFirst(_ database: Database, perSecond: Int, on loop: EventLoop) async throws -> [Int: Int64] {
        let connection = try await Connection.open(database.settings, on: loop, deadline: .now() + .seconds(10))
        let worker = try await Register.run(on: connection, deadline: .now() + .seconds(10))
        var handled: [Int: Int64] = [:]
        let start = Instant.now()
        var served = 0
        while (try? await loop.sleep(for: .milliseconds(20))) != nil {
            let allowed = Int((Instant.now() - start).seconds * Double(perSecond)) - served
            guard allowed > 0 else { continue }
            served += allowed  // What is not used is lost, as a rate's tokens are.
            let now: Int64
            let jobs: [ClaimedJob]
            do {
                jobs = try await claim(on: connection, worker: worker, limit: allowed).jobs
                now = WallClock.now()
                try await finish(jobs, serial: UInt64(handled.count) + 1 << 40, on: connection, worker: worker)
            } catch {
                if Task.isCancelled { break }
                throw error
            }
            for job in jobs {
                guard case .success(let number) = job.recipient, let index = Int(number.e164.suffix(7)) else {
                    continue
                }
                handled[index] = now
            }
        }
        await connection.close()
        return handled
    }

    private static func claim(
        on connection: Connection, worker: Int64, limit: Int = batch
    ) async throws(PostgresError) -> ClaimedJobs {
        try await Claim.run(
            on: connection, limit: limit, suspects: true, worker: worker, keys: keys,
            lease: .seconds(30), deadline: .now() + .seconds(30))
    }

    private static func finish(
        _ jobs: [ClaimedJob], serial: UInt64, on connection: Connection, worker: Int64
    ) async throws {
        var accepted = FinishAccepted()
        for (offset, job) in jobs.enumerated() {
            guard let sid = MessageSID("SM" + hex(serial + UInt64(offset))) else { throw BenchError("no SID") }
            accepted.append(
                AcceptedMessage(
                    job: job.id, attempt: job.attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                    sid: sid, status: .queued, sender: "+15005550006"))
        }
        try await accepted.run(on: connection, worker: worker, deadline: .now() + .seconds(30))
    }

    /// 32 hexadecimal digits that are spread over the index as Twilio's are.
    private static func hex(_ serial: UInt64) -> String {
        let spread = String(serial &* 0x9E37_79B9_7F4A_7C15, radix: 16)
        let digits = String(repeating: "0", count: 16 - spread.count) + spread
        return digits + digits
    }
}
