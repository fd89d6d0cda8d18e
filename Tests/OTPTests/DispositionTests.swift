import OTP
import TestSupport
import Testing

struct DispositionTests {
    static let sid = MessageSID("SM0123456789abcdef0123456789abcdef")!

    /// One code per class, numbered as the classes are listed.
    static let rule: DispositionRule = {
        let rows = ErrorClass.allCases.enumerated().map { index, errorClass in
            ErrorClasses.Row(
                code: 1_000 + index, className: errorClass.rawValue, stage: "create",
                explanation: "because \(errorClass.rawValue)", remedy: "do something")
        }
        return DispositionRule(classes: ErrorClasses(rows))
    }()

    static func code(_ errorClass: ErrorClass) -> Int { 1_000 + ErrorClass.allCases.firstIndex(of: errorClass)! }

    func decide(_ outcome: Outcome, attempt: Int = 1, life: Duration = .seconds(300)) -> Disposition {
        var random = SeededGenerator(9)
        return DispositionTests.rule.decide(outcome, attempt: attempt, lifeLeft: life, using: &random)
    }

    static let reasons: [Outcome.NotSent] = [
        .nameLookup, .connect, .tls, .bodyNotSent, .leaseTooShort, .throttled, .blocked(Responder(httpStatus: 403)),
        .blocked(Responder(httpStatus: 407)),
    ]

    func refused(_ code: Int, httpStatus: Int = 400) -> Outcome {
        .refused(.init(httpStatus: httpStatus, code: code))
    }

    @Test func accepted() {
        let disposition = decide(.accepted(DispositionTests.sid, status: .queued), life: .seconds(-5))
        #expect(disposition.step == .accepted(DispositionTests.sid, status: .queued))
        #expect(disposition.step.state == .accepted && disposition.effect == nil && !disposition.isAlert)
    }

    @Test(arguments: [
        Outcome.Unclear.timeout, .connectionLost, .serverError(httpStatus: 503), .unreadableAnswer(httpStatus: 201),
        .unexpectedStatus(httpStatus: 302), .ambiguousCode(20500),
    ])
    func unknownIsNeverSentAgain(_ reason: Outcome.Unclear) {
        // For every life left, and every number of attempts.
        for life in [-1, 0, 5, 300] {
            for attempt in [1, 2, 9] {
                let disposition = decide(.unknown(reason), attempt: attempt, life: .seconds(life))
                #expect(disposition.step == .unknown(reason) && disposition.step.state == .unknown)
                #expect(disposition.effect == nil)
            }
        }
        #expect(!reason.explanation.isEmpty && !reason.name.isEmpty)
    }

    @Test(arguments: reasons)
    func notSent(_ reason: Outcome.NotSent) {
        let disposition = decide(.notSent(reason, retryAfter: .seconds(3)))
        guard case .retry(let after, let why) = disposition.step else {
            Issue.record("\(disposition)")
            return
        }
        #expect(after >= .seconds(3) && after <= .seconds(3.5))
        #expect(why.error == reason.explanation && why.remedy == reason.remedy)
        #expect(disposition.effect == (reason == .throttled ? .throttle(retryAfter: .seconds(3)) : nil))
        #expect(decide(.notSent(reason, retryAfter: nil), life: .seconds(1)).step.state == .expired)
        // However long the answer asks to wait, the job's wait stays within its code's life.
        for wait in [9, 60, 86_400] {
            guard
                case .retry(let after, _) = decide(.notSent(reason, retryAfter: .seconds(wait)), life: .seconds(9)).step
            else { return #expect(Bool(false), "\(wait)") }
            #expect(after >= .seconds(4.5) && after <= .seconds(8))
        }
    }

    @Test(
        arguments: [
            (ErrorClass.pauseWorker, JobState.queued, Disposition.Scope.worker), (.pauseSender, .queued, .sender),
            (.pauseChannel, .failed, nil), (.pauseCountry, .queued, .country), (.fraudHold, .queued, .prefix),
            (.permanentRecipient, .failed, nil),
            (.badJob, .failed, nil), (.content, .failed, nil), (.throttle, .queued, nil), (.retrySafe, .queued, nil),
            (.oneResend, .queued, nil), (.ambiguous, .unknown, nil), (.ignore, .failed, nil),
        ] as [(ErrorClass, JobState, Disposition.Scope?)])
    fileprivate func refusals(_ errorClass: ErrorClass, _ state: JobState, _ scope: Disposition.Scope?) {
        let code = DispositionTests.code(errorClass)
        let disposition = decide(refused(code))
        #expect(disposition.step.state == state)
        let why = FailureCause(
            code: code, errorClass: errorClass, error: "because \(errorClass.rawValue)", remedy: "do something")
        if let scope {
            #expect(disposition.effect == .pause(scope, why: why))
        } else {
            #expect(disposition.effect == (errorClass == .throttle ? .throttle(retryAfter: nil) : nil))
        }
        #expect(disposition.isAlert == (errorClass == .ignore))
        // No retry is later than the code's expiry.
        if state == .queued { #expect(decide(refused(code), life: .milliseconds(900)).step == .expired(why)) }
    }

    @Test func thereAreThirteenClasses() {
        #expect(ErrorClass.allCases.count == 13)
    }

    /// A sender's pause stops SMS too, so a number that cannot call must not cause one.
    @Test(arguments: Channel.allCases)
    func aSenderOfAnotherChannelPausesThatChannelAlone(_ channel: Channel) {
        var random = SeededGenerator(9)
        let code = DispositionTests.code(.pauseSender)
        let disposition = DispositionTests.rule.decide(
            refused(code), attempt: 1, lifeLeft: .seconds(300), channel: channel, using: &random)
        guard case .pause(let scope, _) = disposition.effect else { return #expect(disposition.effect != nil) }
        #expect(scope == (channel == .sms ? .sender : .channel))
        #expect(disposition.step.state == (channel == .sms ? .queued : .failed))
    }

    /// Codes of WhatsApp and calls. A text message that gets one holds no others.
    @Test(arguments: Channel.allCases)
    func aChannelIsPausedByItsOwnJobsAlone(_ channel: Channel) {
        var random = SeededGenerator(9)
        let disposition = DispositionTests.rule.decide(
            refused(DispositionTests.code(.pauseChannel)), attempt: 1, lifeLeft: .seconds(300), channel: channel,
            using: &random)
        #expect(disposition.step.state == .failed)
        if channel == .sms { return #expect(disposition.effect == nil) }
        guard case .pause(.channel, _) = disposition.effect else { return #expect(disposition.effect != nil) }
    }

    @Test func oneResendIsOne() {
        let code = DispositionTests.code(.oneResend)
        #expect(decide(refused(code), attempt: 1).step.state == .queued)
        #expect(decide(refused(code), attempt: 2).step.state == .failed)
    }

    @Test func unknownCodesFailTheirJobAndAlert() {
        for outcome in [refused(99_999), refused(99_999, httpStatus: 404), refused(99_999, httpStatus: 403)] {
            let disposition = decide(outcome)
            #expect(disposition.step.state == .failed && disposition.isAlert && disposition.effect == nil)
        }
        guard case .failed(let why) = decide(refused(99_999)).step else { return }
        #expect(why.error.contains("99999") && why.remedy.contains("otp.error_classes") && why.errorClass == nil)
    }

    @Test func a401AlwaysPausesTheWorker() {
        for code in [99_999, DispositionTests.code(.badJob), DispositionTests.code(.pauseWorker)] {
            let disposition = decide(refused(code, httpStatus: 401))
            #expect(disposition.step.state == .queued)
            guard case .pause(.worker, let why) = disposition.effect else {
                Issue.record("\(code): \(disposition)")
                continue
            }
            #expect(!why.error.isEmpty && !why.remedy.isEmpty)
        }
    }

    @Test func outages() {
        #expect(Outcome.notSent(.connect, retryAfter: nil).outage != nil && Outcome.unknown(.timeout).outage != nil)
        #expect(Outcome.unknown(.serverError(httpStatus: 503)).outage != nil)
        #expect(Outcome.notSent(.throttled, retryAfter: nil).outage == nil)
        #expect(Outcome.unknown(.ambiguousCode(20500)).outage == nil)
        #expect(refused(1).outage == nil && Outcome.accepted(DispositionTests.sid, status: nil).outage == nil)
    }

    /// A login page in place of an answer: the outcome is unknown, and Twilio counts as unreachable.
    @Test func blockedIsAnOutage() {
        let blocked = Outcome.notSent(.blocked(Responder(httpStatus: 403, server: "nginx")), retryAfter: nil).outage
        #expect(blocked?.isBlocked == true && blocked?.explanation.contains("403 (Server: nginx)") == true)
        #expect(blocked?.remedy.contains("TWILIO_API_BASE_URL") == true)
        #expect(Outcome.unknown(.unexpectedStatus(httpStatus: 200)).outage?.isBlocked == false)
        #expect(Outcome.unknown(.unreadableAnswer(httpStatus: 201)).outage?.isBlocked == false)
        #expect(Outcome.notSent(.connect, retryAfter: nil).outage?.isBlocked == false)
        #expect(Outcome.notSent(.leaseTooShort, retryAfter: nil).outage == nil)
    }

    @Test(
        arguments: [
            (nil, nil, nil, "HTTP status 403"), ("text/html; charset=utf-8", nil, nil, "HTTP status 403 (text/html)"),
            (
                "text/html", "nginx/1.25.3", "1.1 10.0.0.1:3128 (squid)",
                "HTTP status 403 (text/html; Server: nginx/1.25.3; Via: 1.1 10.0.0.1:3128 (squid))"
            ),
            // Neither a long number nor a control character, and at most one line.
            (
                "", "to +966501234567 482913", "a\u{1B}[31m\r\nb\u{202E}é",
                "HTTP status 403 (Server: to +9665 4829; Via: a?[31m??b?????)"
            ),
            ("; x", "", "   ", "HTTP status 403"),
            (
                nil, String(repeating: "x", count: 500), nil,
                "HTTP status 403 (Server: \(String(repeating: "x", count: 60)))"
            ),
        ] as [(String?, String?, String?, String)])
    func respondersAreCleaned(_ type: String?, _ server: String?, _ via: String?, _ words: String) {
        #expect("\(Responder(httpStatus: 403, contentType: type, server: server, via: via))" == words)
    }

    @Test func poison() {
        #expect(Poison.failure(unfinishedClaims: 0) == nil && Poison.failure(unfinishedClaims: 2) == nil)
        #expect(Poison.failure(unfinishedClaims: 3)?.error.contains("3 times") == true)
        #expect(Poison.failure(unfinishedClaims: 4) != nil)
    }

    @Test func badRowsAreNamedAllAtOnce() {
        let classes = ErrorClasses([
            .init(code: 1, className: "pause_word", stage: "create", explanation: "", remedy: ""),
            .init(code: 2, className: "throttle", stage: "late", explanation: "", remedy: ""),
            .init(code: 3, className: "throttle", stage: "create", explanation: "", remedy: ""),
        ])
        let problem = classes.problem
        #expect(classes.entry(code: 3).errorClass == .throttle, "the good rows count")
        #expect(classes.entry(code: 1).errorClass == nil)
        #expect(problem?.rows.map(\.code) == [1, 2])
        #expect(problem?.description.contains("pause_word") == true && problem?.description.contains("late") == true)
        #expect(ErrorClasses.none.count == 0 && ErrorClasses.none.entry(code: 3).errorClass == nil)
    }
}

/// The state that a job is in after a step, as in `job_state` of `otp.delivery_status`.
private enum JobState { case queued, unknown, accepted, failed, expired }

extension Disposition.Step {
    fileprivate var state: JobState {
        switch self {
        case .accepted: .accepted
        case .failed: .failed
        case .retry, .hold: .queued
        case .expired: .expired
        case .unknown: .unknown
        }
    }
}
