import EventLoop
import Postgres
import Queue
import Testing

/// The statements that take verified codes for feedback, and record what came of it.
@Suite(.database) struct FeedbackStatementTests {
    let database = TestScope.current?.database

    private var soon: Instant { .now() + .seconds(120) }

    private func take(_ session: TestDatabase.Session, limit: Int = 10) async throws -> [TakeFeedback.Item] {
        try await TakeFeedback.run(on: session.connection, limit: limit, lease: .seconds(120), deadline: soon)
    }

    /// A message of the code 1, `age` seconds before its verification.
    private struct Message {
        var sid: String
        var status: String
        var channel = "sms"
        var age = 10
    }

    /// Which message is confirmed.
    @Test(arguments: [
        ([], nil),
        ([Message(sid: "a", status: "sent")], "a"),
        ([Message(sid: "a", status: "queued")], "a"),
        // The newest one, if all arrived or nothing is known of any.
        ([Message(sid: "a", status: "sent", age: 50), Message(sid: "b", status: "sent")], "b"),
        ([Message(sid: "a", status: "delivered", age: 50), Message(sid: "b", status: "delivered")], "b"),
        // One that arrived goes before a newer one of which nothing is known.
        ([Message(sid: "a", status: "delivered", age: 50), Message(sid: "b", status: "sent")], "a"),
        // A receipt can be wrong, but one that failed never left Twilio.
        ([Message(sid: "a", status: "undelivered")], "a"),
        ([Message(sid: "a", status: "sent", age: 50), Message(sid: "b", status: "undelivered")], "a"),
        ([Message(sid: "a", status: "failed"), Message(sid: "b", status: "canceled")], nil),
        // One that was requested after the code was used.
        ([Message(sid: "a", status: "sent", age: 50), Message(sid: "b", status: "delivered", age: -5)], "a"),
        // Another channel carried the code, too.
        ([Message(sid: "a", status: "read", channel: "whatsapp")], nil),
        ([Message(sid: "a", status: "sent"), Message(sid: "CAb", status: "completed", channel: "call")], nil),
        ([Message(sid: "a", status: "undelivered"), Message(sid: "b", status: "read", channel: "whatsapp")], nil),
        ([Message(sid: "a", status: "delivered"), Message(sid: "b", status: "read", channel: "whatsapp")], "a"),
        ([Message(sid: "a", status: "sent"), Message(sid: "b", status: "sent", channel: "email", age: -5)], "a"),
    ])
    private func whichMessage(messages: [Message], sid: String?) async throws {
        let session = try await #require(database).connect()
        for (index, message) in messages.enumerated() {
            try await session.text(
                """
                INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at,
                                          status, channel)
                VALUES ('\(message.sid)', \(index), 1, 1, true, now() - interval '\(100 + message.age) seconds',
                        '\(message.status)', '\(message.channel)')
                """)
        }
        try await session.text(
            """
            INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status)
            VALUES ('other', 99, 2, 1, true, now() - interval '105 seconds', 'delivered');
            INSERT INTO otp.feedback_due (verification_id, verified_at) VALUES (1, now() - interval '100 seconds')
            """)
        let items = try await take(session)
        #expect(items.map(\.sid) == [sid] && items.first?.isPending == false)
        #expect((100..<200).contains(items.first?.age.seconds ?? 0) && items.first?.tries == 0)
        await session.close()
    }

    @Test func aJobUnderWayIsWaitedFor() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await database.enqueue("0501234567")
        try await session.text(
            "INSERT INTO otp.feedback_due (verification_id, verified_at) SELECT id, clock_timestamp() FROM otp.verifications"
        )
        let items = try await take(session)
        #expect(items.map(\.isPending) == [true] && items.first?.sid == nil)
        await session.close()
    }

    @Test func codesAreLeasedCountedAndTriedAgain() async throws {
        let database = try #require(database)
        let (one, other) = (try await database.connect(), try await database.connect())
        try await one.text(
            "INSERT INTO otp.feedback_due (verification_id, verified_at) SELECT n, now() FROM generate_series(1, 5) n")
        // Two workers at the same time: no code is taken twice, and neither waits.
        try await one.text("BEGIN")
        let first = try await take(one, limit: 3)
        let second = try await take(other)
        try await one.text("COMMIT")
        #expect((first + second).map(\.verification).sorted() == [1, 2, 3, 4, 5] && first.count == 3)
        #expect(try await take(one).isEmpty, "leased")

        var results = FinishFeedback()
        results.ended = [(1, .confirmed), (2, .confirmed), (3, .givenUp), (77, .unavailable)]
        results.again = [
            .init(verification: 4, delay: .seconds(30), isCounted: true),
            .init(verification: 5, delay: .seconds(-1), isCounted: false),
        ]
        for _ in 0..<2 {
            // The second time it is the result of a worker whose lease had ended.
            try await results.run(on: other.connection, deadline: soon)
            #expect(
                try await one.text("SELECT outcome, codes FROM otp.feedback_counts ORDER BY outcome")
                    == "confirmed|2\ngiven_up|1\nno_message|0\nunavailable|0")
            results.again = []
        }
        #expect(
            try await one.text("SELECT verification_id, tries, due_at > now() FROM otp.feedback_due ORDER BY 1")
                == "4|1|t\n5|0|f")
        #expect(try await take(one).map(\.verification) == [5])
        await one.close()
        await other.close()
    }
}
