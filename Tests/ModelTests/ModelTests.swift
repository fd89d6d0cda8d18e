import Glibc
import OTP
import Testing

/// The model check of the protocol: every interleaving of its steps, up to the last reachable state.
@Suite(.serialized) struct ModelTests {
    /// One exploration.
    struct Run: CustomTestStringConvertible {
        var name: String
        var setup: Setup
        /// The violation that the search must find; nil if all properties must hold.
        var violates: Property?

        init(_ name: String, violates property: Property? = nil, _ change: (inout Setup) -> Void = { _ in }) {
            self.name = name
            violates = property
            setup = Setup()
            // If one violation is expected, the search looks for that one, and ignores others on the way.
            if let property, property != .stuck, property != .notDelivered { setup.properties = [property] }
            change(&setup)
        }

        var testDescription: String { name }
    }

    @discardableResult
    func explore(_ run: Run) -> Search.Result {
        let result = Search.run(run.setup)
        let ending = run.violates.map { "ends with `\($0)`" } ?? "all holds"
        print("model: \(run.name): \(result.states) states, \(result.steps) steps, \(result.depth) deep, \(ending)")
        if result.counterExample?.property != run.violates {
            let found = result.counterExample.map { "found \($0)" } ?? "found nothing"
            Issue.record("\(run.name): expected that it \(ending), \(found)")
        }
        return result
    }

    /// An asynchronous standby in place of the failover that moves the clock.
    static func forgetting(_ setup: inout Setup) {
        setup.failsOver = false
        setup.forgets = true
    }

    // MARK: What holds

    @Test(arguments: [
        Run("a job, three attempts, a failover") { $0.attemptsPerJob = 3 },
        Run("the same, resent never") {
            $0.attemptsPerJob = 3
            $0.resends = false
        },
        Run("two jobs of one verification, two attempts each") {
            $0.jobs = 2
            $0.failsOver = false
        },
        Run("a job, two attempts, a standby that forgets", forgetting),
        // This makes the user wait longer, and is equally safe.
        Run("unknown since the sweep, not since the end of the lease") { $0.unknownSince = .sweep },
        // Merging states hides no violation.
        Run("a job, two attempts, no state merged") {
            $0.merges = false
            $0.concurrentLookups = 1
            $0.failsOver = false
        },
    ])
    func holds(_ run: Run) { explore(run) }

    @Test func allThatCanHappenHappens() {
        let result = explore(
            Run("a job, three attempts, no failover") {
                $0.attemptsPerJob = 3
                $0.failsOver = false
            })
        // Without a failover, and with a clock that runs.
        let impossible: [Step.Kind] = [
            .tickOnStoppedClocks, .databaseFailsOver, .standbyFallsBehind, .standbyTakesOver, .recall, .giveBack,
        ]
        for kind in Step.Kind.allCases where !impossible.contains(kind) {
            #expect(result.kinds & 1 << kind.rawValue != 0, "never happened: \(kind.words)")
        }
        for state in Row.State.allCases {
            #expect(result.rowStates & 1 << state.rawValue != 0, "no job was ever \(state)")
        }
    }

    @Test func timesAreThoseOfTheRule() {
        #expect(Setup.tick * Int(Row.oldest) == ResolutionRule.grace)
        #expect(Setup.tick * Int(Row.farApart) == ResolutionRule.secondLookup)
        // The grace is exactly long enough.
        #expect(Setup.underway + Setup().listLag + Setup.clockJump == Row.oldest)
    }

    // MARK: Each rule is needed

    static let broken: [(rule: Rule, run: Run)] = [
        breaking(.checkInFeed, .twice), breaking(.checkInFeed, .late), breaking(.checkInTurn, .twice),
        breaking(.trustFromBeforeClaim, .twice), breaking(.clockNeverStops, .twice),
        breaking(.socketsDiscard, .twice),
        breaking(.endingsFenced, .twice) { $0.attemptsPerJob = 3 },
        breaking(.sidSettlesAlways, .evidenceLost), breaking(.listIsBelieved, .twice),
        breaking(.grace, .twice),
        breaking(.secondLookup, .lookupsTooClose), breaking(.verdictFencedByToken, .lookupsTooClose),
        // This needs lookups at equal times. With times in microseconds, `next_lookup_at` alone nearly fences attempts
        // too.
        breaking(.verdictFencedByAttempt, .twice) {
            $0.attemptsPerJob = 3
            $0.failsOver = false
        },
        breaking(.oneOfAVerification, .together) { $0.jobs = 2 },
        breaking(.oneOfAVerification, .wrongMessage) { $0.jobs = 2 },
        breaking(.lostLeasesSwept, .stuck),
        breaking(.onlyLostClaimsPoison, .notDelivered) {
            $0.attemptsPerJob = 3
            $0.failsOver = false
        },
        breaking(.handedOverIsNotGivenBack, .twice, forgetting),
        breaking(.endingsFencedByLease, .failedThoughSent, forgetting),
        breaking(.recallBeforeClaim, .twice, forgetting),
        breaking(.recallInAnyState, .twice) {
            forgetting(&$0)
            $0.attemptsPerJob = 3
        },
        breaking(.recalledFromTrust, .twice, forgetting),
        breaking(.heldIsReleased, .twice, forgetting),
        // The second lookup compensates for either of these alone.
        breaking(.wholeRequestFits, .twice) { $0.broken.insert(.secondLookup) },
        breaking(.secondLookup, .twice) { $0.listLag = 4 },
    ]

    static func breaking(
        _ rule: Rule, _ property: Property, _ change: (inout Setup) -> Void = { _ in }
    ) -> (Rule, Run) {
        let run = Run("without \(rule)", violates: property) {
            $0.broken = [rule]
            change(&$0)
        }
        return (rule, run)
    }

    @Test(arguments: broken.map(\.run))
    func brokenRuleIsFound(_ run: Run) { explore(run) }

    @Test func everyRuleIsBrokenOnce() {
        for rule in Rule.allCases { #expect(Self.broken.contains { $0.rule == rule }, "\(rule)") }
    }

    @Test func ageFromTheClaimIsTooOld() {
        explore(Run("unknown since the claim", violates: .twice) { $0.unknownSince = .claim })
    }

    // MARK: The second lookup

    /// A list that lags 15 s longer than assumed. Two lookups compensate for it, given the token that keeps them apart.
    @Test(arguments: [
        Run("list lags 30 s, two lookups") { $0.listLag = 6 },
        Run("list lags 20 s, one lookup", violates: .twice) {
            $0.listLag = 4
            $0.broken = [.secondLookup]
        },
        Run("list lags 30 s, lookups not fenced", violates: .twice) {
            $0.listLag = 6
            $0.broken = [.verdictFencedByToken]
        },
        Run("list lags 15 s, one request does not fit into its lease, two lookups") { $0.broken = [.wholeRequestFits] },
    ])
    func secondLookup(_ run: Run) { explore(run) }

    // MARK: Beyond the assumptions

    /// A second message stays possible if Twilio lists a message later than the grace, if the host is frozen between the
    /// last check and the write, or if a failover loses a hand-over together with its worker. otpd detects such a
    /// message and records it as a second send.
    @Test(arguments: [
        Run("list lags 35 s", violates: .twice) { $0.listLag = 7 },
        Run("frozen between the last check and the write", violates: .twice) { $0.freezesBeforeWrite = true },
        Run("a standby forgets, and the worker dies that knew", violates: .twice) {
            forgetting(&$0)
            $0.forgetsTwice = true
        },
    ])
    func duplicateIsRecorded(_ run: Run) throws {
        let example = try #require(explore(run).counterExample)
        var rules = Protocol(run.setup)
        var world = try #require(example.worlds.last)
        // Both SIDs arrive, in answers or callbacks.
        while true {
            rules.explore(world)
            guard let next = rules.successors.first(where: { $0.step.kind == .recordMessage }) else { break }
            world = next.world
        }
        #expect(world.rows[0].state == .accepted)
        #expect((0..<World.attempts).count { world.attempts[$0].isRecorded } == 2)
    }

    /// `OTPD_RESEND_UNKNOWN=never` makes a second message impossible.
    @Test func neverIsNever() {
        explore(
            Run("resent never, list lags 90 s, frozen between check and write") {
                $0.attemptsPerJob = 3
                $0.resends = false
                $0.listLag = Attempt.Body.longestUnlisted
                $0.freezesBeforeWrite = true
                $0.properties = [.twice, .evidenceLost]
            })
    }

    // MARK: In depth

    /// Takes minutes and gigabytes: `OTPD_MODEL_DEEP=1 swift test --filter ModelTests`.
    @Test(
        .enabled(if: getenv("OTPD_MODEL_DEEP") != nil, "set OTPD_MODEL_DEEP to run it"),
        arguments: [
            Run("two jobs of one verification, two attempts each, a failover") { $0.jobs = 2 },
            Run("a job, two attempts, two lookups at a time, no state merged") { $0.merges = false },
        ])
    func holdsInDepth(_ run: Run) { explore(run) }
}
