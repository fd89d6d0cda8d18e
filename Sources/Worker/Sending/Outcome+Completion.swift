import Glibc
import HTTP
import OTP
import Twilio

extension OTP.Outcome {
    /// The outcome of a POST for `recipient` on `channel`, from how it ended.
    init(_ completion: Completion, recipient: PhoneNumber?, channel: Channel) {
        func responder() -> Responder {
            Responder(
                httpStatus: completion.receivedStatus, contentType: completion.origin.contentType,
                server: completion.origin.server, via: completion.origin.via)
        }
        switch completion.outcome {
        case .response(let status, let body, let retryAfter, _):
            self = body.withBytes { bytes in
                .classify(
                    httpStatus: status, retryAfter: retryAfter.map { .seconds($0) }, body: bytes, recipient: recipient,
                    channel: channel, responder: responder())
            }
        case .notSent(let reason):
            self = TransportFailure.neverSent(NotSent(reason)).outcome
        // The status alone makes it a refusal, even if the body was too large or broke off.
        case .unknown(.answerTooLarge) where (400..<500).contains(completion.receivedStatus),
            .unknown(.truncated) where (400..<500).contains(completion.receivedStatus),
            .unknown(.connectionLost) where (400..<500).contains(completion.receivedStatus),
            .unknown(.timedOut) where (400..<500).contains(completion.receivedStatus):
            self = completion.received.withBytes { bytes in
                .classify(
                    httpStatus: completion.receivedStatus, retryAfter: nil, body: bytes, channel: channel,
                    responder: responder())
            }
        case .unknown(let reason):
            // A SID is evidence, even in an answer that broke off.
            let evidence: OTP.Outcome? =
                completion.receivedStatus == 201
                ? completion.received.withBytes { bytes in
                    .classify(
                        httpStatus: 201, retryAfter: nil, body: bytes, recipient: recipient, channel: channel)
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
    /// Whether Twilio's answer proves that the account may send, which ends a pause.
    var provesAccount: Bool {
        switch self {
        case .accepted, .refused, .rejected: true
        case .notSent, .unknown: false
        }
    }
}

extension OTP.Outcome {
    var isNoDescriptor: Bool {
        if case .notSent(.noDescriptor, _) = self { true } else { false }
    }
}

extension OTP.Outcome.NotSent {
    init(_ reason: NotSentReason) {
        self =
            switch reason {
            case .nameLookupFailed: .nameLookup
            case .connectFailed, .connectTimedOut: .connect
            case .tlsFailed, .certificatesUnreadable: .tls
            case .noDescriptor(let errno): .noDescriptor(isSystems: errno == ENFILE)
            case .leaseEnded: .leaseTooShort
            case .timedOut, .connectionLost, .canceled, .failed: .bodyNotSent
            }
    }
}

extension OTP.Outcome.Unclear {
    init(_ reason: UnknownReason, httpStatus: Int) {
        self =
            switch reason {
            case .timedOut: .timeout
            case .closedWithoutAnswer, .connectionLost, .truncated, .canceled, .failed: .connectionLost
            case .answerTooLarge, .garbled: .unreadableAnswer(httpStatus: httpStatus)
            }
    }
}
