/// The setup of an exploration of a route.
struct RouteSetup {
    /// The second step begins by a timer, too, and not only after a failure.
    var waits = true
    /// The user may request the code once more.
    var asksAgain = false
    /// The code's life shortens and ends.
    var ages = true
    /// Both steps go by the same channel.
    var isOneChannel = false
    /// Messages cannot be looked up, as in e-mail.
    var hasNoList = false
    /// `OTPD_RESEND_UNKNOWN`.
    var resends = true
    /// The first step's channel accepts nothing, as in an outage of Twilio while the mail server works.
    var firstChannelIsDown = false
    var broken: Set<RouteRule> = []
    /// The properties whose violation ends the search.
    var properties = Set(RouteProperty.allCases)
}

/// The rules of a route. Each can be broken on purpose.
enum RouteRule: CaseIterable {
    /// `otp.follow_up` locks the verification before it reads.
    case lockBeforeReading
    /// A later job exists, so nothing follows.
    case nothingAfterALaterJob
    /// No step begins after the code was used, canceled or replaced.
    case nothingAfterTheEnd
    /// A step begins only with a minute of life.
    case aMinuteOfLife
    /// A step takes over only from a job that is `queued`.
    case takesOverOnlyQueued
    /// The claim tells its worker that the code has been used, canceled or replaced.
    case claimTellsTheEnd
    /// The step begins in the transaction that records the failure of a message.
    case failureInOneTransaction
    /// The same for a job that ends unsent.
    case unsentInOneTransaction
    /// The timer is deleted in the transaction that begins the step.
    case timerInOneTransaction
    /// A timer whose verification is locked stays for the next round.
    case lockedTimerStays
    /// Of a verification and a channel, only the lowest live id is claimed.
    case oneOfAChannel
    /// A job does not wait for an earlier one of another channel.
    case otherChannelsDoNotWait
    /// A step that is due by time leaves a message that another transaction has locked to the next round.
    case timerSkipsLockedMessage
    /// The end of a code leaves out messages that another transaction has locked.
    case endSkipsLockedMessage
}

/// The properties of a route that must hold in every state and step.
enum RouteProperty: CaseIterable {
    /// A step began twice after one job.
    case begunTwice
    /// A step began after the code had been used, canceled or replaced, or had expired, or with less than a minute left.
    case begunTooLate
    /// A job was handed over although the code had ended before its claim, or after the code's expiry.
    case sentAfterTheEnd
    /// Two messages of one job were accepted.
    case sentTwice
    /// A job that was taken over had left.
    case takenOverThoughSent
    /// Two jobs of one channel were under way at a time.
    case together
    /// Two transactions wait for each other.
    case deadlock
    /// A job never ends.
    case stuck
    /// Without further failures, a step never began, or did not end as sent or unsent.
    case lost
}

/// One possible step of the model.
enum RouteStep: Equatable {
    case lifeShortens, codeDies
    // The user.
    case verify, cancel, replace, askAgain
    // The worker of a job.
    /// `claimInVain`: its channel accepts nothing.
    case claim(Int)
    case claimInVain(Int)
    case handOver(Int)
    case giveBack(Int)
    case endCanceled(Int)
    case expire(Int)
    case crash(Int)
    case becomeUnknown(Int)
    // Twilio or a mail server.
    case accept(Int)
    case lose(Int)
    case deliver(Int)
    case fail(Int)
    /// A SID arrives: the answer, a callback, or a lookup.
    case recordMessage(Int)
    case lookupMisses(Int)
    // Transactions.
    case beginFailure(Int)
    case beginUnsent(Int)
    case beginTimer(Int)
    case dropTimer(Int)
    case decide(Int)
    case commit(Int)
    case rollBack(Int)

    /// The order of steps without failures; nil for a step that only a failure or a user causes.
    var orderWhenWell: Int? {
        switch self {
        case .commit: 0
        case .decide: 1
        case .recordMessage: 2
        case .beginFailure, .endCanceled: 3
        case .accept: 4
        case .handOver: 5
        case .giveBack: 6
        case .becomeUnknown: 7
        case .lookupMisses: 8
        case .claim: 9
        case .beginTimer: 10
        case .lifeShortens, .codeDies, .verify, .cancel, .replace, .askAgain, .expire, .crash, .lose, .deliver, .fail,
            .beginUnsent, .dropTimer, .rollBack, .claimInVain:
            nil
        }
    }

    /// One number for each kind of step.
    var kind: Int {
        switch self {
        case .lifeShortens: 0
        case .codeDies: 1
        case .verify: 2
        case .cancel: 3
        case .replace: 4
        case .askAgain: 5
        case .claim: 6
        case .handOver: 7
        case .giveBack: 8
        case .endCanceled: 9
        case .expire: 10
        case .crash: 11
        case .becomeUnknown: 12
        case .accept: 13
        case .lose: 14
        case .deliver: 15
        case .fail: 16
        case .recordMessage: 17
        case .lookupMisses: 18
        case .beginFailure: 19
        case .beginUnsent: 20
        case .beginTimer: 21
        case .decide: 22
        case .commit: 23
        case .rollBack: 24
        case .claimInVain: 25
        case .dropTimer: 26
        }
    }

    /// All kinds but `dropTimer`, which only a broken rule causes.
    static let kinds = 26
}

/// The state after a step, and the property that the step violates.
struct RouteSuccessor {
    var step: RouteStep
    var world: RouteWorld
    var violation: RouteProperty?
}
