public import EventLoop
public import OTP
public import Postgres

/// Finds which SIDs are recorded already. A recorded SID is evidence for its own job alone.
///
/// The primary key of `otp.messages` serves it.
public enum KnownMessages {
    static let statement = Statement(
        "otpd_known_messages",
        "SELECT message_sid FROM otp.messages WHERE message_sid = ANY ($1)",
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
