public import EventLoop
public import Postgres

/// Reads the time zone of the daily limits, and the time there. The server refuses an unknown zone (22023).
public enum ReadTimeZone {
    static let name = "SELECT timezone FROM otp.settings"
    static let time = "SELECT to_char(now() AT TIME ZONE timezone, 'YYYY-MM-DD HH24:MI') FROM otp.settings"

    /// The result.
    public struct Zone: Sendable, Equatable {
        public var name: String
        /// The time there; nil if the server does not know the zone.
        public var time: String?

        public init(name: String, time: String?) {
            self.name = name
            self.time = time
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Zone {
        let rows = try await TextQuery.rows(name, on: connection, deadline: deadline)
        guard rows.rowCount == 1 else { throw .unsuitable("otp.settings has no row") }
        let zone = try rows.string(0, 0)
        do {
            return Zone(
                name: zone, time: try await TextQuery.rows(time, on: connection, deadline: deadline).string(0, 0))
        } catch {
            guard error.sqlstate == "22023" else { throw error }
            return Zone(name: zone, time: nil)
        }
    }
}
