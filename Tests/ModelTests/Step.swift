/// One possible step.
struct Step: Equatable {
    var kind: Kind
    /// The attempt, job or lookup; numbered over all jobs, from 0.
    var subject: Int

    init(_ kind: Kind, _ subject: Int = 0) {
        self.kind = kind
        self.subject = subject
    }

    enum Kind: Int, CaseIterable {
        // Time and failures.
        case tick, tickOnStoppedClocks, codeDies, databaseFailsOver, crash
        /// An asynchronous standby, and what a worker then writes to it.
        case standbyFallsBehind, standbyTakesOver, recall
        // The worker of an attempt. A fed body goes into the socket at once, or in part later (`write`).
        case handOver, enterTurn, feed, feedInPart, write
        /// Ended before its body was fed, and after that. Bytes that had not left are discarded.
        case giveUp, cutShort
        /// `FinishUnsent`. If the database's answer is lost, it is written once more.
        case recordRetry, recordFailed, recordUnknown
        case recordRetryUnanswered, recordFailedUnanswered, recordUnknownUnanswered
        // Twilio. A refusal that does not reach the worker has the effect of a lost body.
        case accept, refuse
        /// A SID arrives: the answer, however late, or one of any number of callbacks.
        case recordMessage
        // The database. For unknown outcomes, otpd's sweep waits for the lease too. Here it may come at any time.
        case claim, cancel, sweepLostLease, sweepDeadCode
        /// `FindLost`: a claim's answer was lost, and its worker releases jobs that it does not have in hand.
        case giveBack
        // Lookups.
        case lookupMisses, lookupFails, lookupAdopts, writeVerdict, dropLookup
    }
}

extension Step.Kind {
    /// The order of steps without failures; nil for a step that only a failure causes.
    var orderWhenWell: Int? {
        switch self {
        case .recordMessage: 0
        case .accept: 1
        case .feed, .write, .writeVerdict, .recall: 2
        case .enterTurn: 3
        case .handOver: 4
        case .recordRetry: 5
        case .giveUp, .cutShort: 6
        case .recordUnknown: 7
        case .sweepLostLease, .sweepDeadCode: 8
        case .lookupMisses: 9
        case .claim: 10
        case .tick: 11
        case .tickOnStoppedClocks, .codeDies, .databaseFailsOver, .standbyFallsBehind, .standbyTakesOver, .giveBack,
            .crash, .feedInPart, .recordFailed,
            .recordRetryUnanswered, .recordFailedUnanswered, .recordUnknownUnanswered, .refuse, .cancel, .lookupFails,
            .lookupAdopts, .dropLookup:
            nil
        }
    }

    /// The step as text; `#` is the subject.
    var words: String {
        switch self {
        case .tick: "5 s pass"
        case .tickOnStoppedClocks: "5 s pass that no worker's clock sees"
        case .codeDies: "the code expires"
        case .databaseFailsOver: "a standby takes over, its clock 10 s ahead"
        case .standbyFallsBehind: "the standby falls behind"
        case .standbyTakesOver: "the standby takes over; what came since is forgotten"
        case .recall: "attempt #: its worker tells the new database what it knows"
        case .giveBack: "job #: given back by its worker, which does not have it in hand"
        case .crash: "attempt #: its worker dies"
        case .handOver: "attempt #: handed to libcurl"
        case .enterTurn: "attempt #: not overdue after epoll_wait; libcurl acts"
        case .feed: "attempt #: the body is fed, and leaves"
        case .feedInPart: "attempt #: the body is fed, but part of it does not fit into the socket"
        case .write: "attempt #: the rest of the body leaves"
        case .giveUp: "attempt #: given up before its body was fed"
        case .cutShort: "attempt #: cut short; what had not left is discarded"
        case .recordRetry: "attempt #: written down: not sent, try again"
        case .recordFailed: "attempt #: written down: not sent, failed"
        case .recordUnknown: "attempt #: written down: unknown"
        case .recordRetryUnanswered: "attempt #: written down, though its worker does not learn it: not sent, try again"
        case .recordFailedUnanswered: "attempt #: written down, though its worker does not learn it: not sent, failed"
        case .recordUnknownUnanswered: "attempt #: written down, though its worker does not learn it: unknown"
        case .accept: "attempt #: Twilio ACCEPTS it"
        case .refuse: "attempt #: Twilio refuses it"
        case .recordMessage: "attempt #: its SID comes in"
        case .claim: "job #: claimed"
        case .cancel: "job #: canceled"
        case .sweepLostLease: "job #: the sweep finds its lease lapsed"
        case .sweepDeadCode: "job #: the sweep finds its code expired"
        case .lookupMisses: "job #: a lookup does not find it"
        case .lookupFails: "job #: a lookup fails"
        case .lookupAdopts: "job #: a lookup finds a message"
        case .writeVerdict: "lookup #: its verdict is written, if the fence lets it"
        case .dropLookup: "lookup #: its worker dies"
        }
    }
}

/// The state after a step, and the property that the step violates.
struct Successor {
    var step: Step
    var world: World
    var violation: Property?
}
