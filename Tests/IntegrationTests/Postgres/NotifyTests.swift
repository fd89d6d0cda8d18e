import EventLoop
import Postgres
import Synchronization
import Testing

@Suite("PostgreSQL: what comes unasked", .timeLimit(.minutes(10)))
struct NotifyTests {
    @Test("a NOTIFY reaches a connection that does nothing else, and one that is busy")
    func notify() async throws {
        try await onLoop { loop in
            let listener = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let sender = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let (stream, continuation) = AsyncStream<Notification>.makeStream()
            await listener.onNotification { continuation.yield($0) }
            try await listener.simple("LISTEN \"otp jobs\"", deadline: soon)
            try await sender.simple("NOTIFY \"otp jobs\", 'idle'", deadline: soon)
            var heard = stream.makeAsyncIterator()
            let first = await heard.next()
            #expect(first?.channel == "otp jobs" && first?.payload == "idle")
            let pid = await sender.backendPID
            #expect(first?.backendPID == pid)
            let notifyItself = Statement("self", "SELECT pg_notify('otp jobs', 'busy')")
            _ = try await listener.execute(notifyItself, deadline: soon)
            #expect(await heard.next()?.payload == "busy")
            await listener.close()
            await sender.close()
        }
    }

    @Test("notices come with the result of the statement that raised them, and to the handler")
    func notices() async throws {
        try await withConnection { connection in
            let seen = Mutex<[String]>([])
            let box = Box(seen)
            await connection.onNotice { notice in box.value.withLock { $0.append(notice.message) } }
            try await connection.simple(
                """
                CREATE FUNCTION pg_temp.warn(n int4) RETURNS int4 LANGUAGE plpgsql AS
                $$ BEGIN RAISE WARNING 'number %', n USING ERRCODE = '01000'; RETURN n; END $$
                """, deadline: soon)
            let warn = Statement("warn", "SELECT CASE WHEN $1 > 0 THEN pg_temp.warn($1) END", [.int4])
            async let silent = connection.execute(warn, .of { $0.append(0 as Int32) }, deadline: soon)
            async let loud = connection.execute(warn, .of { $0.append(7 as Int32) }, deadline: soon)
            let (quiet, warned) = try await (silent, loud)
            #expect(quiet.notices.isEmpty)
            #expect(warned.notices.map(\.message) == ["number 7"])
            #expect(warned.notices.map(\.severity) == ["WARNING"] && warned.notices.map(\.sqlstate) == ["01000"])
            #expect(box.value.withLock { $0 } == ["number 7"])
        }
    }

    @Test("a warning at the commit, after the result, still comes with the statement")
    func commitNotice() async throws {
        try await withConnection { connection in
            try await connection.simple(
                """
                CREATE TEMP TABLE w (n int8);
                CREATE FUNCTION pg_temp.late() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE WARNING 'at the commit'; RETURN NULL; END $$;
                CREATE CONSTRAINT TRIGGER late AFTER INSERT ON w DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION pg_temp.late();
                """, deadline: soon)
            let insert = Statement("insert_w", "INSERT INTO w VALUES (1)")
            let result = try await connection.execute(insert, deadline: soon)
            #expect(result.affectedRows == 1)
            #expect(result.notices.map(\.message) == ["at the commit"])
        }
    }
}

private final class Box<Value: ~Copyable & Sendable>: Sendable {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
}
