import HTTP
import OTP
import Twilio

extension OTP.Outcome {
    /// What a POST for `recipient` came to, from how it ended.
    init(_ completion: Completion, recipient: PhoneNumber?) {
        switch completion.outcome {
        case .response(let status, let body, let retryAfter, _):
            self = body.withBytes { bytes in
                .classify(
                    httpStatus: status, retryAfter: retryAfter.map { .seconds($0) }, body: bytes, recipient: recipient)
            }
        case .notSent(let reason):
            self = TransportFailure.neverSent(NotSent(reason)).outcome
        case .unknown(let reason):
            // A SID is evidence, even in an answer that broke off.
            let evidence: OTP.Outcome? =
                completion.receivedStatus == 201
                ? completion.received.withBytes { bytes in
                    .classify(httpStatus: 201, retryAfter: nil, body: bytes, recipient: recipient)
                } : nil
            if case .accepted? = evidence, let evidence {
                self = evidence
            } else {
                self = TransportFailure.maybeSent(Unclear(reason, httpStatus: completion.receivedStatus)).outcome
            }
        }
    }
}

extension OTP.Outcome {
    /// Whether Twilio answered in a way that says that the account may send: what ends a pause.
    var provesAccount: Bool {
        switch self {
        case .accepted, .refused, .notSent(.throttled, _): true
        case .notSent(.nameLookup, _), .notSent(.connect, _), .notSent(.tls, _), .notSent(.bodyNotSent, _),
            .notSent(.leaseTooShort, _), .unknown:
            false
        }
    }
}

extension OTP.Outcome.NotSent {
    init(_ reason: NotSentReason) {
        self =
            switch reason {
            case .nameLookupFailed: .nameLookup
            case .connectFailed, .connectTimedOut: .connect
            case .tlsFailed, .certificatesUnreadable: .tls
            case .leaseEnded: .leaseTooShort
            case .timedOut, .connectionLost, .cancelled, .failed: .bodyNotSent
            }
    }
}

extension OTP.Outcome.Unclear {
    init(_ reason: UnknownReason, httpStatus: Int) {
        self =
            switch reason {
            case .timedOut: .timeout
            case .closedWithoutAnswer, .connectionLost, .truncated, .cancelled, .failed: .connectionLost
            case .answerTooLarge, .garbled: .unreadableAnswer(httpStatus: httpStatus)
            }
    }
}
