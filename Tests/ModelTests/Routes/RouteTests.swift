import Testing

extension ModelTests {
    // Inside the other suite, because two searches at once would take both threads of the tests.
    /// The model check of a route with two steps.
    @Suite(.serialized) struct RouteTests {
        struct Run: CustomTestStringConvertible {
            var name: String
            var setup = RouteSetup()
            /// The violation that the search must find; nil if all properties must hold.
            var violates: RouteProperty?

            init(
                _ name: String, violates property: RouteProperty? = nil, _ change: (inout RouteSetup) -> Void = { _ in }
            ) {
                self.name = name
                violates = property
                if let property { setup.properties = [property] }
                change(&setup)
            }

            var testDescription: String { name }
        }

        @discardableResult
        func explore(_ run: Run) -> RouteSearch.Result {
            let result = RouteSearch.run(run.setup)
            let ending = run.violates.map { "ends with `\($0)`" } ?? "all holds"
            print("model: a route, \(run.name): \(result.states) states, \(result.steps) steps, \(ending)")
            if result.violation != run.violates {
                let found = result.violation.map { "\($0):\n  " + result.path.joined(separator: "\n  ") } ?? "nothing"
                Issue.record("\(run.name): expected that it \(ending), found \(found)")
            }
            return result
        }

        // MARK: What holds

        @Test(arguments: [
            Run("a timer and a failure"),
            Run("a timer and a failure, the user asks again, the code does not age") {
                $0.asksAgain = true
                $0.ages = false
            },
            Run("a failure alone") {
                $0.waits = false
                $0.asksAgain = true
            },
            Run("both steps by one channel") { $0.isOneChannel = true },
            Run("resent never") { $0.resends = false },
            Run("no list to look into, resent never") {
                $0.hasNoList = true
                $0.resends = false
            },
            Run("the first channel accepts nothing") { $0.firstChannelIsDown = true },
        ])
        func holds(_ run: Run) { explore(run) }

        @Test func allThatCanHappenHappens() {
            var kinds: UInt64 = 0
            var states: UInt64 = 0
            for isDown in [false, true] {
                let result = explore(
                    Run("the first channel \(isDown ? "accepts nothing" : "works"), the user asks again") {
                        $0.firstChannelIsDown = isDown
                        $0.waits = isDown
                        $0.asksAgain = true
                    })
                kinds |= result.kinds
                states |= result.jobStates
            }
            for kind in 0..<RouteStep.kinds { #expect(kinds & 1 << kind != 0, "step \(kind) never happened") }
            for state in RouteJob.State.allCases {
                #expect(states & 1 << state.rawValue != 0, "no job was ever \(state)")
            }
        }

        /// Without a list and with `after-grace`, an e-mail whose reply was lost may arrive twice, as the settings page says.
        @Test func anEmailMayArriveTwiceAfterTheGrace() {
            explore(Run("no list to look into", violates: .sentTwice) { $0.hasNoList = true })
        }

        // MARK: Each rule is needed

        static let broken: [(rule: RouteRule, run: Run)] = [
            breaking(.lockBeforeReading, .begunTwice),
            breaking(.nothingAfterALaterJob, .begunTwice),
            breaking(.nothingAfterTheEnd, .begunTooLate),
            breaking(.aMinuteOfLife, .begunTooLate),
            breaking(.takesOverOnlyQueued, .takenOverThoughSent),
            // A replaced code's jobs stay in the queue.
            breaking(.claimTellsTheEnd, .sentAfterTheEnd),
            breaking(.failureInOneTransaction, .lost) { $0.waits = false },
            breaking(.unsentInOneTransaction, .lost) { $0.waits = false },
            breaking(.timerInOneTransaction, .lost),
            breaking(.lockedTimerStays, .lost),
            breaking(.oneOfAChannel, .together) { $0.isOneChannel = true },
            breaking(.oneOfAChannel, .together) { $0.asksAgain = true },
            breaking(.otherChannelsDoNotWait, .stuck) { $0.firstChannelIsDown = true },
            breaking(.timerSkipsLockedMessage, .deadlock),
            breaking(.endSkipsLockedMessage, .deadlock),
        ]

        static func breaking(
            _ rule: RouteRule, _ property: RouteProperty, _ change: (inout RouteSetup) -> Void = { _ in }
        ) -> (RouteRule, Run) {
            let run = Run("without \(rule)", violates: property) {
                $0.broken = [rule]
                change(&$0)
            }
            return (rule, run)
        }

        @Test(arguments: broken.map(\.run))
        func brokenRuleIsFound(_ run: Run) { explore(run) }

        @Test func everyRuleIsBrokenOnce() {
            for rule in RouteRule.allCases { #expect(Self.broken.contains { $0.rule == rule }, "\(rule)") }
        }
    }
}
