internal import EventLoop
internal import Glibc
internal import OTP
internal import Postgres
internal import Queue

/// Reads everything about the database over a connection like a worker's. A second connection sends it a notification.
/// Each read has its own deadline and is not repeated.
struct DatabaseReader: Sendable {
    let database: DatabaseSettings
    let loop: EventLoop

    /// The timeout for a new connection, with all its addresses.
    static let opening = Instant.Duration.seconds(10)
    /// The timeout for one read. It is long, because a doctor is called when the database is overloaded. A read that fails
    /// ends the connection, so there is only one such wait.
    static let reading = Instant.Duration.seconds(20)
    /// The timeout for a notification.
    static let hearing = Instant.Duration.seconds(2)

    func read() async -> DatabaseReadings {
        let settings = Database.settings(database)
        var readings = DatabaseReadings(target: settings.description)
        switch await open(settings) {
        case .success(let connection):
            await read(on: connection, into: &readings)
            readings.listen = await listen(on: connection)
            await connection.close()
        case .failure(let error): readings.failure = error
        }
        return readings
    }

    private func open(_ settings: ConnectionSettings) async -> Result<Connection, PostgresError> {
        do {
            return .success(try await Connection.open(settings, on: loop, deadline: .now() + Self.opening))
        } catch {
            return .failure(error)
        }
    }

    private func read(on connection: Connection, into readings: inout DatabaseReadings) async {
        readings.target = await connection.target
        readings.security = await connection.security
        readings.server = await one { deadline throws(PostgresError) in
            try await ReadServer.run(on: connection, deadline: deadline)
        }
        readings.clock = await one { deadline throws(PostgresError) in
            try await Self.clock(on: connection, deadline: deadline)
        }
        readings.role = await one { deadline throws(PostgresError) in
            try await ReadRole.run(on: connection, deadline: deadline)
        }
        readings.schema = await one { deadline throws(PostgresError) in
            try await Migrator(on: connection, deadline: deadline).state()
        }
        readings.missingGrants = await one { deadline throws(PostgresError) in
            try await ReadMissingGrants.run(on: connection, deadline: deadline)
        }
        readings.stored = await one { deadline throws(PostgresError) in
            try await ReadStoredSettings.run(on: connection, deadline: deadline)
        }
        readings.concealment = await one { deadline throws(PostgresError) in
            try await ReadConcealment.run(on: connection, deadline: deadline)
        }
        readings.owner = await one { deadline throws(PostgresError) in
            try await ReadOwner.run(on: connection, deadline: deadline)
        }
        readings.rights = await one { deadline throws(PostgresError) in
            try await ReadMissingRights.run(on: connection, deadline: deadline)
        }
        readings.sequences = await one { deadline throws(PostgresError) in
            try await AdvanceSequences.preview(on: connection, deadline: deadline)
        }
        readings.seals = await one { deadline throws(PostgresError) in
            try await ReadSeals.run(on: connection, deadline: deadline)
        }
        readings.standbys = await one { deadline throws(PostgresError) in
            try await ReadStandbys.run(on: connection, deadline: deadline)
        }
        readings.zone = await one { deadline throws(PostgresError) in
            try await ReadTimeZone.run(on: connection, deadline: deadline)
        }
        readings.numbers = await one { deadline throws(PostgresError) in
            try await ReadNumberTable.run(on: connection, deadline: deadline)
        }
        readings.templates = await one { deadline throws(PostgresError) in
            try await ReadTexts.templates(on: connection, deadline: deadline)
        }
        readings.countries = await one { deadline throws(PostgresError) in
            try await ReadTexts.countries(on: connection, deadline: deadline)
        }
        readings.routes = await one { deadline throws(PostgresError) in
            try await ReadRoutes.run(on: connection, deadline: deadline)
        }
        readings.fraud = await one { deadline throws(PostgresError) in
            try await ReadFraud.run(on: connection, deadline: deadline)
        }
        readings.testNumbers = await one { deadline throws(PostgresError) in
            try await ReadTestNumbers.run(on: connection, deadline: deadline)
        }
        readings.activity = await one { deadline throws(PostgresError) in
            try await ReadActivity.run(on: connection, deadline: deadline)
        }
    }

    private func one<Value>(
        _ read: (Instant) async throws(PostgresError) -> Value
    ) async -> DatabaseReadings.Reading<Value> {
        do { return .success(try await read(.now() + Self.reading)) } catch { return .failure(error) }
    }

    /// Takes three samples, because the first one may be delayed.
    private static func clock(
        on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> [ClockCheck.Sample] {
        var samples: [ClockCheck.Sample] = []
        for _ in 0..<3 {
            let before = HostClock.now()
            let database = try await ReadClock.run(on: connection, deadline: deadline)
            samples.append(.init(before: before, database: database, after: HostClock.now()))
        }
        return samples
    }

    private func listen(on connection: Connection) async -> DatabaseReadings.Reading<TryListen.Hearing> {
        switch await open(Database.settings(database)) {
        case .failure(let error): return .failure(error)
        case .success(let notifier):
            let channel = "otpd_doctor_\(String(UInt64.random(in: .min ... .max), radix: 16))"
            let outcome = await one { deadline throws(PostgresError) in
                try await TryListen.run(
                    listener: connection, notifier: notifier, channel: channel, timeout: Self.hearing,
                    deadline: deadline)
            }
            await notifier.close()
            return outcome
        }
    }
}

/// This machine's time of day and time zone.
enum HostClock {
    /// The time in microseconds since the Unix epoch.
    static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    /// The time zone by `TZ` or by the link /etc/localtime, such as `Asia/Riyadh`. Nil where neither names one.
    static func zone(_ environment: [String: String]) -> String? {
        if let zone = environment["TZ"], !zone.isEmpty { return zone.first == ":" ? String(zone.dropFirst()) : zone }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/etc/localtime", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let path = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.firstRange(of: "zoneinfo/").map { String(path[$0.upperBound...]) }
    }
}
