public import EventLoop
public import OTP
public import Postgres

/// Finds which SIDs are recorded already. A recorded SID is evidence for its own job alone.
///
/// The primary key of `otp.messages` serves it, by one look for each range of jobs (`otp.range_of_message`).
public enum KnownMessages {
    static let statement = Statement(
        "otpd_known_messages",
        "SELECT e.sid FROM unnest($1::text[]) e(sid) WHERE otp.range_of_message(e.sid) IS NOT NULL",
        [.textArray])

    /// The SIDs of `sids` that are recorded.
    public static func run(on connection: Connection, _ sids: [MessageSID], deadline: Instant)
        async throws(PostgresError) -> Set<MessageSID>
    {
        var parameters = Parameters()
        parameters.append(sids.map { Optional($0.description) })
        let result = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .drop)
        var known: Set<MessageSID> = []
        for row in 0..<result.rowCount {
            if let sid = MessageSID(try result.string(row, 0)) { known.insert(sid) }
        }
        return known
    }
}
