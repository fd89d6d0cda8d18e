import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime

/// Claims jobs when and as many as `DispatchMachine` says. Confined to the loop.
final class Claimer {
    private let core: DispatchCore
    private let jobs: JobsInHand
    private let recorder: Recorder
    private let reasserter: Reasserter
    /// The keys that codes are sealed with.
    private let keys: CodeKeys
    /// The channels that this worker can send by.
    private let channels: [Channel]
    /// Sends Twilio a request that changes nothing; whether it answered.
    private let isReachable: @Sendable () async -> Bool
    /// Where claims begin.
    private(set) var scanStart = ClaimScanStart()
    private var clockJumps = 0
    private var errors = LogOnce()

    init(
        _ core: DispatchCore, _ jobs: JobsInHand, _ recorder: Recorder, _ reasserter: Reasserter, keys: CodeKeys,
        channels: [Channel], isReachable: @escaping @Sendable () async -> Bool
    ) {
        (self.core, self.jobs, self.recorder, self.reasserter) = (core, jobs, recorder, reasserter)
        (self.keys, self.channels) = (keys, channels)
        self.isReachable = isReachable
    }

    /// Claims until the worker has drained. `take` receives each claim's jobs, and when the claim was sent.
    func run(_ claims: ConnectionSource<any ClaimDatabase>, take: (ClaimedJobs, Instant) -> Void) async {
        while !Task.isCancelled {
            if reasserter.isNeeded, core.machine.database.canClaim { await reassert(claims) }
            let now = Instant.now()
            core.machine.database.unsaved = recorder.unsaved
            switch core.machine.decide(at: now) {
            case .finished: return recorder.claimsEnded()
            case .wait(let until): await core.claimsMayGo.wait(until: until)
            case .connectivityCheck:
                core.machine.connectivityCheckBegan()
                let isAnswered = await isReachable()
                core.machine.connectivityCheckEnded(isAnswered: isAnswered, at: .now())
            case .claim(let limit, let order):
                core.machine.claimBegan(at: now)
                await claim(limit: limit, newestFirst: order == .newestFirst, claims, take)
            }
        }
    }

    private func claim(
        limit: Int, newestFirst: Bool, _ claims: ConnectionSource<any ClaimDatabase>,
        _ take: (ClaimedJobs, Instant) -> Void
    ) async {
        var server: ServerInstance?
        do {
            let connection = try await claims.connection()
            guard let worker = core.worker else { return failed(after: .milliseconds(100)) }
            server = reasserter.server
            if reasserter.isNeeded { return failed(after: .seconds(0)) }
            try await reasserter.settleLostClaim(on: connection, worker)
            if let span = reasserter.claimsWait(at: .now()) { return failed(after: span) }
            let began = Instant.now()
            if clockJumps != core.clockJumps { scanStart.forget() }
            clockJumps = core.clockJumps
            let scan = newestFirst ? .newestFirst : scanStart.scan(at: began)
            let claimed = try await connection.claim(
                limit: limit, scan, quarantined: jobs.quarantined == 0, channels: channels, worker: worker, keys: keys,
                at: began)
            let now = Instant.now()
            scanStart.claimed(
                scan, foundJobs: !claimed.jobs.isEmpty || claimed.ended > 0, lowest: claimed.lowest, took: now - began,
                at: now)
            claimEnded(claimed, limit: limit)
            take(claimed, began)
            errors.succeeded()
        } catch {
            switch error {
            case .server:
                // A refusal repeats, so it is logged once.
                if errors.isNew(error) {
                    core.log.error("cannot claim jobs; trying again", metadata: .of(error))
                }
            // The session logs a lost connection.
            case .lost, .deadline, .canceled, .misuse: reasserter.lostClaim(askedOf: server)
            case .connect, .settings, .unsuitable: break
            }
            failed(after: .seconds(1))
        }
    }

    private func claimEnded(_ claimed: ClaimedJobs, limit: Int) {
        core.announce(
            core.machine.claimEnded(
                count: claimed.jobs.count, ended: claimed.ended, limit: limit,
                oldestAge: claimed.jobs.lazy.map(\.age).max() ?? .seconds(0),
                at: .now(), jitter: Double.random(in: 0..<1)))
        core.tally.claimed += Int64(claimed.jobs.count)
    }

    private func failed(after span: Instant.Duration) {
        scanStart.forget()
        let now = Instant.now()
        core.announce(core.machine.claimFailed(at: now, retryAt: now + span))
    }

    /// Writes what this worker knows to the server that its session has reached, and repeats that until it succeeds.
    /// Nothing is claimed before.
    private func reassert(_ claims: ConnectionSource<any ClaimDatabase>) async {
        while reasserter.isNeeded, core.machine.database.canClaim, !Task.isCancelled {
            do {
                let connection = try await claims.connection()
                guard let worker = core.worker else { return }
                try await reasserter.reassert(on: connection, worker)
                errors.succeeded()
            } catch {
                if case .server = error, errors.isNew(error) {
                    core.log.error(
                        "cannot compare this worker's sends with the database; nothing is claimed until it succeeds",
                        metadata: .of(error))
                }
                await core.claimsMayGo.wait(until: .now() + .seconds(1))
            }
        }
    }

    // MARK: What is in hand

    /// Whether there is work in hand.
    var isBusy: Bool {
        core.machine.inHand + recorder.unsaved > 0
    }

    /// Whether the indexes begin with dead entries, over which a search for the next due job would step, while the
    /// worker polls in any case.
    var isAmongDead: Bool { scanStart.isMarking && core.machine.schedule.isActive(at: .now()) }

    /// Whether nothing is in hand, and the database may be asked when the next job is due.
    var isIdle: Bool { !isBusy && !isAmongDead }
}
