import EventLoop
import Postgres
import Runtime
import Testing

struct LogOnceTests {
    @Test func equalErrorsInARowAreNewOnce() {
        var errors = LogOnce()
        #expect(["a", "a", "b", "a"].map { errors.isNew($0) } == [true, false, true, true])
        errors.succeeded()
        #expect(["a", "a"].map { errors.isNew($0) } == [true, false])
    }
}

struct LogThrottleTests {
    @Test func oneLineASecondCountsTheRest() {
        var throttle = LogThrottle()
        let counts = [0, 1, 999, 1000, 1001, 5000].map {
            throttle.count(at: Instant(nanoseconds: Int64($0) * 1_000_000))
        }
        #expect(counts == [1, nil, nil, 3, nil, 2])
    }
}

/// One loss of the database is one line, though two sessions lose it.
struct OutageLogTests {
    private enum Name { case claims, results }
    private let refused = PostgresError.connect(
        ConnectFailure(attempts: [.init(target: "db:5432", reason: "Connection refused")]))
    private let password = PostgresError.connect(
        ConnectFailure(attempts: [.init(target: "db:5432", reason: "no", sqlstate: "28P01", stage: .login)]))

    private func lost(_ outcome: StatementFate) -> PostgresError {
        .lost(Loss(reason: "gone", lastError: nil, outcome: outcome))
    }

    /// `#expect` cannot call what changes a value.
    private func news(of name: Name, _ state: SessionState, _ log: inout OutageLog<Name>) -> OutageLog<Name>.News? {
        log.news(of: name, state)
    }

    private func failing(_ error: PostgresError) -> SessionState {
        .connecting(since: .init(nanoseconds: 0), lastError: error)
    }

    @Test func theSecondSessionsWordsForAnOutageAreNoNews() {
        var log = OutageLog<Name>()
        #expect(news(of: .claims, .connected, &log) == .connected)
        #expect(news(of: .results, .connected, &log) == .connected)
        #expect(news(of: .claims, failing(lost(.unknown)), &log) == .ended(lost(.unknown)))
        #expect(news(of: .results, failing(lost(.notSent)), &log) == nil)
        // That nothing listens there is news, once.
        #expect(news(of: .results, failing(refused), &log) == .away(refused))
        #expect(news(of: .claims, failing(refused), &log) == nil)
        #expect(news(of: .results, failing(refused), &log) == nil)
    }

    @Test func theNextOutageIsNewsOnceAllAreBack() {
        var log = OutageLog<Name>()
        #expect(news(of: .claims, failing(refused), &log) == .away(refused))
        #expect(news(of: .results, failing(refused), &log) == nil)
        #expect(news(of: .claims, .connected, &log) == .connected)
        #expect(news(of: .results, failing(refused), &log) == nil)
        #expect(news(of: .results, .connected, &log) == .connected)
        #expect(news(of: .results, failing(lost(.notSent)), &log) == .ended(lost(.notSent)))
        #expect(news(of: .claims, failing(lost(.unknown)), &log) == nil)
        #expect(news(of: .claims, failing(password), &log) == .refused(password))
    }

    /// A server that drops each new connection is an outage, and not only the end of the first one.
    @Test func aConnectionThatNeverStandsIsAnOutage() {
        var log = OutageLog<Name>()
        _ = log.news(of: .claims, .connected)
        #expect(news(of: .claims, failing(lost(.notSent)), &log) == .ended(lost(.notSent)))
        #expect(news(of: .claims, failing(lost(.notSent)), &log) == .away(lost(.notSent)))
        #expect(news(of: .claims, failing(lost(.notSent)), &log) == nil)
    }

    /// The server's limit for idle sessions may be so short that it ends a session during its start.
    @Test func anIdleTimeoutDuringTheStartIsNoOutage() {
        var log = OutageLog<Name>()
        let timeout = PostgresError.lost(
            Loss(
                reason: "idle",
                lastError: ServerError(severity: "FATAL", sqlstate: "57P05", message: "idle-session timeout"),
                outcome: .notSent))
        #expect(news(of: .claims, failing(timeout), &log) == .ended(timeout))
        #expect(news(of: .claims, .connected, &log) == .connected)
        #expect(news(of: .claims, failing(lost(.notSent)), &log) == .ended(lost(.notSent)))
    }

    /// The same with the two sessions of a worker: a pooler that accepts every connection and drops it at once.
    @Test func aServerThatDropsEveryNewConnectionIsAnOutageOfAllSessions() {
        var log = OutageLog<Name>()
        _ = log.news(of: .claims, .connected)
        _ = log.news(of: .results, .connected)
        #expect(news(of: .claims, failing(lost(.unknown)), &log) == .ended(lost(.unknown)))
        #expect(news(of: .results, failing(lost(.notSent)), &log) == nil)
        // No connection is up, and the next one was dropped too: this is more than the end of an idle connection.
        #expect(news(of: .results, failing(lost(.notSent)), &log) == .away(lost(.notSent)))
        #expect(news(of: .claims, failing(lost(.notSent)), &log) == nil)
        // The outage is over for one session alone: nothing is repeated until both are up.
        #expect(news(of: .claims, .connected, &log) == .connected)
        #expect(news(of: .results, failing(lost(.notSent)), &log) == nil)
        #expect(news(of: .results, .connected, &log) == .connected)
        #expect(news(of: .results, failing(lost(.unknown)), &log) == .ended(lost(.unknown)))
    }
}
