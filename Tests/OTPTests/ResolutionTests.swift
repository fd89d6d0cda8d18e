import OTP
import Testing

struct ResolutionTests {
    static let sid = MessageSID("SM0123456789abcdef0123456789abcdef")!
    static let instant = Duration.milliseconds(1)

    /// Before, at and after each age at which the decision changes, for a clock that was set back, and for old jobs.
    static let ages: [Duration] =
        [0, 2, 15, 45, 60].flatMap { [.seconds($0) - instant, .seconds($0), .seconds($0) + instant] }
        + [.seconds(-10), .seconds(8), .seconds(30), .seconds(600)]

    /// Every subject that the rule's conditions can tell apart.
    static let subjects: [ResolutionRule.Subject] = ages.flatMap { age in
        (0...4).flatMap { lookups in (0...5).map { .init(age: age, lookups: lookups, lostClaims: $0) } }
    }

    @Test(arguments: [true, false])
    func foundIsAdopted(resends: Bool) {
        let rule = ResolutionRule(resends: resends)
        for status: MessageStatus in [.queued, .sent, .delivered, .failed] {
            for subject in Self.subjects {
                #expect(rule.decide(.found(Self.sid, status), subject) == .adopt(Self.sid, status))
            }
        }
    }

    @Test(arguments: [true, false])
    func unclearConcludesNothing(resends: Bool) {
        let rule = ResolutionRule(resends: resends)
        for subject in Self.subjects {
            #expect(rule.decide(.unclear, subject) == .lookUpAgain(after: .seconds(10), isCounted: false))
        }
    }

    /// Nothing is sent again once the code has expired. A lookup that misses the message ends the job, at the end of
    /// the grace or 15 s after the expiry. If the list cannot be fetched, otpd keeps asking for a minute.
    @Test(
        "after the code's expiry",
        arguments: [
            ("at once, where the grace is over", 45, 0, Lookup.absent, Duration?.none),
            ("whatever was counted", 600, 500, .absent, nil),
            ("at the end of the grace", 40, 1, .absent, .seconds(5)),
            ("or 15 s after the expiry", 3, 1, .absent, .seconds(14)),
            ("which is then", 17, 15, .absent, nil),
            ("a late lookup decides as well", 20, 40, .absent, nil),
            ("a list that can't be had", 50, 1, .unclear, .seconds(10)),
            ("for a minute", 109, 59, .unclear, .seconds(10)),
            ("and no longer", 110, 60, .unclear, nil),
        ] as [(String, Int, Int, Lookup, Duration?)])
    func afterTheExpiry(_ name: String, _ age: Int, _ expiredFor: Int, _ lookup: Lookup, _ again: Duration?) {
        for resends in [true, false] {
            for (lookups, lostClaims) in [(0, 0), (2, 0), (0, 3), (1, 5)] {
                let subject = ResolutionRule.Subject(
                    age: .seconds(age), lookups: lookups, lostClaims: lostClaims, expiredFor: .seconds(expiredFor))
                let step = ResolutionRule(resends: resends).decide(lookup, subject)
                if let again {
                    #expect(step == .lookUpAgain(after: again, isCounted: false), "\(name)")
                } else if case .fail(let why) = step {
                    #expect(why.error.hasPrefix("outcome unknown") && !why.remedy.isEmpty, "\(name)")
                } else {
                    Issue.record("\(name): \(step)")
                }
                let found = ResolutionRule(resends: resends).decide(.found(Self.sid, .sent), subject)
                #expect(found == .adopt(Self.sid, .sent))
            }
        }
    }

    @Test(arguments: [true, false])
    func absenceBeforeTheGraceSaysNothing(resends: Bool) {
        let rule = ResolutionRule(resends: resends)
        for subject in Self.subjects where subject.age < .seconds(45) {
            let next: Duration =
                switch subject.age {
                case ..<(.seconds(2)): .seconds(2)
                case ..<(.seconds(15)): .seconds(15)
                default: .seconds(45)
                }
            #expect(rule.decide(.absent, subject) == .lookUpAgain(after: next - subject.age, isCounted: false))
        }
    }

    @Test(arguments: [true, false])
    func absenceAfterTheGrace(resends: Bool) {
        let rule = ResolutionRule(resends: resends)
        for subject in Self.subjects where subject.age >= .seconds(45) {
            let step = rule.decide(.absent, subject)
            switch (subject.lookups, subject.lostClaims) {
            case (0, _): #expect(step == .lookUpAgain(after: .seconds(15), isCounted: true))
            case (_, 3...):
                #expect(step == .fail(Poison.failure(unfinishedClaims: subject.lostClaims)!))
            case (_, _) where resends: #expect(step == .resend)
            case (_, _):
                guard case .fail(let why) = step else {
                    Issue.record("\(subject): \(step)")
                    continue
                }
                #expect(why.error.hasPrefix("outcome unknown") && why.error.contains("OTPD_RESEND_UNKNOWN=never"))
                #expect(why.code == nil && why.errorClass == nil && !why.remedy.isEmpty)
            }
        }
    }

    /// Lookups that run as soon as they are due and find nothing end the job, from any age.
    @Test(arguments: [(0, [0, 2, 15, 45, 60]), (7, [7, 15, 45, 60]), (15, [15, 45, 60]), (90, [90, 105])])
    func lookupsThatMissComeToAnEnd(_ start: Int, _ expected: [Int]) {
        for (rule, end) in [(ResolutionRule(resends: true), true), (ResolutionRule(resends: false), false)] {
            var subject = ResolutionRule.Subject(age: .seconds(start), lookups: 0, lostClaims: 1)
            var looked: [Duration] = []
            var step: ResolutionStep
            repeat {
                looked.append(subject.age)
                step = rule.decide(.absent, subject)
                guard case .lookUpAgain(let delay, let isCounted) = step else { break }
                #expect(delay > .zero)
                subject.age += delay
                if isCounted { subject.lookups += 1 }
            } while looked.count < 20
            #expect(looked == expected.map { .seconds($0) })
            #expect((step == .resend) == end)
        }
    }

    @Test func graceOutlastsAllThatCanBeLate() {
        // A whole request, a socket's retransmissions, the list's lag, the skew of the clocks (Sources/README.md).
        #expect(ResolutionRule.grace >= .seconds(10) + .seconds(10) + .seconds(15) + .seconds(10))
        #expect(ResolutionRule.neededLookups == 2)
        #expect(ResolutionRule.earlyLookups == ResolutionRule.earlyLookups.sorted())
        #expect(ResolutionRule.earlyLookups.allSatisfy { $0 > .zero && $0 < ResolutionRule.grace })
    }
}
