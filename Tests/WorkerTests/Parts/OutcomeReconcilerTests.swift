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
    let finished = Script<Int, FinishLookup.Written>(then: .init(resent: 1, failed: 0), onEmpty: cancelTask)
    let known: Set<MessageSID>

    init(_ jobs: [UnknownJob] = [], known: Set<MessageSID> = []) {
        taken = Script([.success(jobs)], then: [])
        self.known = known
    }

    var source: ConnectionSource<any LookupDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func takeUnknown(limit: Int, keys: CodeKeys, lease: Instant.Duration) async throws(PostgresError) -> [UnknownJob] {
        try taken.answer(limit)
    }

    func finish(_ looks: FinishLookup) async throws(PostgresError) -> FinishLookup.Written {
        try finished.answer(looks.count)
    }

    func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID> { known.intersection(sids) }
}

@Suite struct OutcomeReconcilerTests {
    /// An attempt whose absence would count.
    private static let old = ResolutionRule.Subject(age: .seconds(60), looks: 1, lostClaims: 0)

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
        guard case .ended(let look) = result else { return #expect(Bool(false), "\(result)") }
        #expect(look.step == .resend && twilio.calls.isEmpty)
    }

    @Test("the loop takes as many as it may look for, writes each result, and wakes the claims for what is sent again")
    func loop() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = LookupStandIn([Self.job()])
            parts.core.machine.schedule.looked(at: .now())
            await OutcomeReconciler(
                parts.core, parts.maintenance, database.source, twilio: ReaderStandIn(), keys: .parts,
                rule: ResolutionRule(resends: true)
            ) { _ in }.run()
            #expect(database.taken.calls == [OutcomeReconciler.atATime] && database.finished.calls == [1])
            #expect(parts.core.machine.schedule.next.map { $0 <= .now() } == true)
            #expect(
                parts.log.messages == [
                    "unknown outcomes resolved: Twilio does not have these messages, they are sent again"
                ])
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
            adopt: adopt)
    }

    private static func step(_ database: LookupStandIn, _ twilio: ReaderStandIn) async -> EndedLookup.Step? {
        let result = await lookups(database, twilio) { _ in }.verdict(on: job())
        guard case .ended(let look) = result else { return nil }
        return look.step
    }
}
