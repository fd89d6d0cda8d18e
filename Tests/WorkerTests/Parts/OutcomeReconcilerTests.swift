import EventLoop
import OTP
import Postgres
import Synchronization
import Testing
import Twilio

@testable import Queue
@testable import Worker

/// A connection of the reconciler.
private final class LookupStandIn: LookupDatabase {
    let taken: Script<Int, [UnknownJob]>
    let finished: Script<Int, FinishLookup.Written>
    let known: Set<MessageSID>

    /// `refusals`: so many results are refused before one is written.
    init(_ jobs: [UnknownJob] = [], known: Set<MessageSID> = [], refusals: Int = 0) {
        taken = Script([.success(jobs)], then: [])
        finished = Script(
            (0..<refusals).map { _ in .failure(.refused("23514")) }, then: .init(resent: 1, failed: 0))
        self.known = known
    }

    var source: ConnectionSource<any LookupDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func takeUnknown(limit: Int, keys: CodeKeys, lease: Instant.Duration) async throws(PostgresError) -> [UnknownJob] {
        try taken.answer(limit)
    }

    func finish(_ lookups: FinishLookup) async throws(PostgresError) -> FinishLookup.Written {
        try finished.answer(lookups.count)
    }

    func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID> { known.intersection(sids) }
}

@Suite struct OutcomeReconcilerTests {
    /// An attempt whose absence would count.
    private static let old = ResolutionRule.Subject(age: .seconds(60), lookups: 1, lostClaims: 0)

    @Test("a message in Twilio's list is the job's")
    func found() async throws {
        let adopted = Mutex<[Int64]>([])
        let result = await Self.lookups(LookupStandIn(), ReaderStandIn([ReaderStandIn.message(1)])) { message in
            adopted.withLock { $0.append(message.job) }
        }.verdict(on: Self.job())
        guard case .adopted = result else { return #expect(Bool(false), "\(result)") }
        #expect(adopted.withLock { $0 } == [1])
    }

    @Test("one that another job has is not")
    func known() async throws {
        let twilio = ReaderStandIn([ReaderStandIn.message(1)])
        #expect(await Self.step(LookupStandIn(known: [.made(1)]), twilio) == .resend)
    }

    @Test(
        "where the list is read to its end without it, it is sent again; where the list can't be had, it is looked for again"
    )
    func absent() async throws {
        #expect(await Self.step(LookupStandIn(), ReaderStandIn()) == .resend)
        #expect(await Self.step(LookupStandIn(), ReaderStandIn(isUnclear: true)) == .again)
    }

    @Test("a job without a number was never handed over: Twilio is not asked")
    func noNumber() async throws {
        let twilio = ReaderStandIn()
        let result = await Self.lookups(LookupStandIn(), twilio) { _ in }.verdict(on: Self.job(recipient: nil))
        guard case .ended(let lookup) = result else { return #expect(Bool(false), "\(result)") }
        #expect(lookup.step == .resend && twilio.calls.isEmpty)
    }

    @Test("a round takes as many as may be looked for; the next one writes each result, and wakes the claims")
    func rounds() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = LookupStandIn([Self.job()])
            parts.core.machine.schedule.looked(at: .now())
            let lookups = LookupPool(Self.lookups(database, ReaderStandIn()) { _ in }, on: loop)
            let reconciler = OutcomeReconciler(
                parts.core, parts.maintenance, database.source, lookups, keys: .parts)
            #expect(await reconciler.round() == .busy)
            #expect(database.taken.calls == [LookupPool.atATime] && lookups.underWay == 1)
            async let _: Void = lookups.run()
            await reconciler.pause(.busy)
            #expect(lookups.underWay == 1 && database.finished.calls.isEmpty)
            // More may come soon: what is unknown now is due again within a minute.
            #expect(await reconciler.round() == .busy)
            #expect(database.taken.calls.count == 2 && database.finished.calls == [1] && lookups.underWay == 0)
            #expect(parts.core.machine.schedule.next.map { $0 <= .now() } == true)
            #expect(
                parts.log.messages == [
                    "settled unknown outcomes: Twilio does not have these messages, sending them again"
                ])
        }
    }

    @Test("while all places are taken, no job is taken; where nothing was found, it waits until a lookup is wanted")
    func places() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let full = LookupStandIn((1...LookupPool.atATime).map { _ in Self.job() })
            let lookups = LookupPool(Self.lookups(full, ReaderStandIn()) { _ in }, on: loop)
            let reconciler = OutcomeReconciler(parts.core, parts.maintenance, full.source, lookups, keys: .parts)
            // Nothing performs them: they stay under way.
            #expect(await reconciler.round() == .busy)
            #expect(await reconciler.round() == .busy)
            #expect(full.taken.calls == [LookupPool.atATime] && lookups.underWay == LookupPool.atATime)

            let empty = LookupStandIn()
            let idle = OutcomeReconciler(
                parts.core, parts.maintenance, empty.source,
                LookupPool(Self.lookups(empty, ReaderStandIn()) { _ in }, on: loop), keys: .parts)
            guard case .wanted(let began) = await idle.round() else { return #expect(Bool(false), "it does not wait") }
            parts.maintenance.want(.lookUp)
            await idle.pause(.wanted(since: began))
            #expect(await idle.round() == .busy, "it was wanted, and looks often for a while")
        }
    }

    @Test("a result that the database refuses is logged, and holds up no other")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = LookupStandIn([Self.job(), Self.job()], refusals: 2)
            let lookups = LookupPool(Self.lookups(database, ReaderStandIn()) { _ in }, on: loop)
            let reconciler = OutcomeReconciler(parts.core, parts.maintenance, database.source, lookups, keys: .parts)
            _ = await reconciler.round()
            async let _: Void = lookups.run()
            while database.finished.calls.count < 2 {
                await reconciler.pause(.busy)
                _ = await reconciler.round()
            }
            #expect(lookups.underWay == 0)
            #expect(parts.log.messages.allSatisfy { $0 == "cannot settle unknown outcomes; trying again" })
            #expect(!parts.log.messages.isEmpty)
        }
    }

    private static func job(recipient: PhoneNumber? = .parts) -> UnknownJob {
        UnknownJob(
            id: 1, requestedAt: ReaderStandIn.createdAt, subject: old, recipient: recipient,
            code: try! Code("123456"))
    }

    private static func lookups(
        _ database: LookupStandIn, _ twilio: ReaderStandIn,
        _ adopt: @escaping @Sendable (AcceptedMessage) async -> Void
    ) -> Lookups {
        Lookups(
            records: database.source, twilio: twilio, rule: ResolutionRule(resends: true), log: LogLines().logger,
            caller: { _ in try? CallSender("+15550001", setting: "a test") }, adopt: adopt)
    }

    private static func step(_ database: LookupStandIn, _ twilio: ReaderStandIn) async -> EndedLookup.Step? {
        let result = await lookups(database, twilio) { _ in }.verdict(on: job())
        guard case .ended(let lookup) = result else { return nil }
        return lookup.step
    }
}
