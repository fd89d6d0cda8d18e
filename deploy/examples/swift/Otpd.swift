import CLibpq
import Glibc

/// otpd's functions over libpq. Copy this file and the folder `CLibpq` into your project.
///
/// One value is one connection, for one task at a time. Its calls block, so give it a thread of its own in a server.
public final class Otpd {
    /// A code that will be sent, and when it can be sent again. Times are seconds since 1970.
    public struct Requested: Sendable {
        public let verificationID: Int64
        public let expiresAt: Double
        public let resendAfter: Double?
    }

    /// The state of one send job.
    public struct Delivery: Sendable {
        public let sendJobID: Int64
        public let channel: String
        /// otpd's own word, such as `queued`, `accepted` or `failed`.
        public let jobState: String
        /// Twilio's own word; nil before there is a message.
        public let messageStatus: String?
        public let error: String?   // for you, and never for the user
    }

    /// What became of a code.
    public struct Event: Sendable {
        public let id: Int64
        public let verificationID: Int64
        public let sendJobID: Int64?
        public let channel: String?
        /// `accepted`, `delivered`, `undelivered`, `failed`, `expired`, `held` or `verified`.
        public let event: String
        public let errorClass: String?
        /// The job that follows a failure; nil: nothing follows.
        public let nextSendJobID: Int64?
    }

    /// An error of PostgreSQL or of otpd. Branch on `sqlstate`.
    public struct Failure: Error, Sendable {
        /// `OT001`: too many requests. `OT002`: invalid phone number. `OT005`: the country is not allowed. Empty: no connection.
        public let sqlstate: String
        public let message: String
        /// Of `OT001`: seconds until another request can succeed.
        public let retryAfter: Int?
    }

    private let connection: OpaquePointer

    /// Connects. libpq reads `PGHOST` and its other variables. The secret is an option of the session, so no statement shows it.
    public init(secret: String) throws(Failure) {
        guard secret.utf8.count >= 32,
            secret.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) })
        else {
            throw Failure(sqlstate: "", message: "the secret must be 32 or more of A-Z a-z 0-9 - _", retryAfter: nil)
        }
        // The value has no spaces or quotes, so it needs no escapes.
        guard let opened = PQconnectdb("client_encoding=UTF8 options='-c otp.secret=\(secret)'") else {
            fatalError("out of memory")
        }
        connection = opened
        guard PQstatus(connection) == CONNECTION_OK else {
            throw Failure(sqlstate: "", message: String(cString: PQerrorMessage(connection)), retryAfter: nil)
        }
    }

    deinit { PQfinish(connection) }

    /// Sends a code; the same again while one is live.
    public func request(
        subject: String, phoneNumber: String, locale: String? = nil, clientIP: String? = nil, channel: String? = nil,
        email: String? = nil
    ) throws(Failure) -> Requested {
        let row = try rows(
            """
            SELECT verification_id, extract(epoch FROM expires_at), extract(epoch FROM resend_after)
              FROM otp.request($1, $2, locale => $3, client_ip => $4, channel => $5, email => $6)
            """, [subject, phoneNumber, locale, clientIP, channel, email])[0]
        return Requested(
            verificationID: Int64(row[0]!)!, expiresAt: Double(row[1]!)!, resendAfter: row[2].flatMap(Double.init))
    }

    /// Whether the code is right: true once. Call it outside a transaction.
    public func verify(subject: String, code: String, phoneNumber: String? = nil, clientIP: String? = nil)
        throws(Failure) -> Bool
    {
        try rows(
            "SELECT otp.verify($1, $2, phone_number => $3, client_ip => $4)", [subject, code, phoneNumber, clientIP])[
                0][0] == "t"
    }

    /// The state of each send job of a verification, the oldest first.
    public func delivery(verificationID: Int64, subject: String) throws(Failure) -> [Delivery] {
        try rows(
            "SELECT send_job_id, channel, job_state, message_status, error FROM otp.delivery($1, $2)",
            [String(verificationID), subject]
        ).map {
            Delivery(sendJobID: Int64($0[0]!)!, channel: $0[1]!, jobState: $0[2]!, messageStatus: $0[3], error: $0[4])
        }
    }

    /// Ends a verification: no further sends, and its code is no longer right.
    public func cancel(verificationID: Int64, subject: String) throws(Failure) -> Bool {
        try rows("SELECT otp.cancel($1, $2)", [String(verificationID), subject])[0][0] == "t"
    }

    /// The next events of a reader, in order. Returns the same events until you confirm them.
    public func readEvents(as reader: String, max: Int = 100) throws(Failure) -> [Event] {
        try rows(
            "SELECT id, verification_id, send_job_id, channel, event, error_class, next_send_job_id FROM otp.read_events($1, $2)",
            [reader, String(max)]
        ).map {
            Event(
                id: Int64($0[0]!)!, verificationID: Int64($0[1]!)!, sendJobID: $0[2].flatMap { Int64($0) },
                channel: $0[3],
                event: $0[4]!, errorClass: $0[5], nextSendJobID: $0[6].flatMap { Int64($0) })
        }
    }

    /// Confirms the events up to and including this one.
    public func confirm(_ event: Event, as reader: String) throws(Failure) {
        _ = try rows("SELECT otp.confirm_events($1, $2)", [reader, String(event.id)])
    }

    private func rows(_ statement: String, _ values: [String?]) throws(Failure) -> [[String?]] {
        guard values.allSatisfy({ $0?.utf8.contains(0) != true }) else {
            throw Failure(sqlstate: "22021", message: "a value contains a NUL character", retryAfter: nil)
        }
        let copies = values.map { value in value.flatMap { strdup($0) } }
        defer { for copy in copies { free(copy) } }
        var pointers = copies.map { UnsafePointer<CChar>($0) }
        let result = PQexecParams(connection, statement, Int32(values.count), nil, &pointers, nil, nil, 0)
        defer { PQclear(result) }
        guard PQresultStatus(result) == PGRES_TUPLES_OK else {
            let field = { (code: Int) in PQresultErrorField(result, Int32(code)).map { String(cString: $0) } }
            let detail = field(0x44) ?? ""  // PG_DIAG_MESSAGE_DETAIL: retry_after=17 window=300 scope=phone
            let wait = detail.split(separator: " ").first { $0.hasPrefix("retry_after=") }?.dropFirst(
                "retry_after=".count)
            throw Failure(
                sqlstate: field(0x43) ?? "", message: field(0x4D) ?? String(cString: PQerrorMessage(connection)),
                retryAfter: wait.flatMap { Int($0) })
        }
        return (0..<PQntuples(result)).map { row in
            (0..<PQnfields(result)).map { column in
                PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
    }
}
