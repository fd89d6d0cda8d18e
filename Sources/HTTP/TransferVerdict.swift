internal import CCurl

/// Why this client itself ended a transfer.
enum CutShort {
    case leaseEnded
    case timedOut
    case answerTooLarge
    case canceled
    /// libcurl asked a second time for a body that it had been given wholly.
    case fedTwice
}

/// The facts about a transfer that has ended. Its verdict depends on nothing else.
struct Ending {
    /// libcurl's result; meaningless if this client ended the transfer.
    var code: CURLcode = CURLE_OK
    var cutShort: CutShort?
    /// Whether libcurl got the whole body, or, without a body, whether a byte of the head had left.
    var isWhollyFed: Bool
    /// Whether the connection and its TLS session were established.
    var isConnected = true
    var status = 0
    /// `CURLINFO_OS_ERRNO`.
    var systemError: Int32 = 0
    /// `EMFILE` or `ENFILE` if no file descriptor is free. Evaluated only if nothing was sent.
    var descriptorError: () -> Int32? = { nil }
    /// libcurl's message for the error. Evaluated only if TLS failed.
    var message: () -> String = { "" }
}

/// The result of a request, decided purely.
enum TransferVerdict: Equatable {
    case answered
    case notSent(NotSentReason)
    case unknown(UnknownReason)

    /// A fed body may still be unsent, but a body that was not wholly fed cannot have been processed: a body shorter
    /// than its Content-Length is not a request. The feed is known for certain, so it decides.
    init(_ ending: Ending) {
        if ending.cutShort == nil, ending.code == CURLE_OK {
            // A final status is never below 200. libcurl itself refuses HTTP/0.9.
            self = (200...599).contains(ending.status) ? .answered : .unknown(.garbled)
            return
        }
        self = ending.isWhollyFed ? .unknown(Self.reasonUnknown(ending)) : .notSent(Self.reasonNotSent(ending))
    }

    private static func reasonNotSent(_ ending: Ending) -> NotSentReason {
        switch ending.cutShort {
        case .leaseEnded: return .leaseEnded
        case .timedOut: return ending.isConnected ? .timedOut : .connectTimedOut
        case .canceled: return .canceled
        // An early answer that could not be stored. The body had not left, which decides.
        case .answerTooLarge, .fedTwice: return .connectionLost
        case nil: break
        }
        // libcurl has no code for this. A lookup, a socket or a file that cannot be opened fails with a code of its
        // own.
        if let errno = ending.descriptorError() { return .noDescriptor(errno: errno) }
        return switch ending.code {
        case CURLE_COULDNT_RESOLVE_HOST: .nameLookupFailed
        case CURLE_COULDNT_CONNECT: .connectFailed(errno: ending.systemError)
        case CURLE_OPERATION_TIMEDOUT: ending.isConnected ? .timedOut : .connectTimedOut
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
            .tlsFailed(ending.message())
        case CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE: .certificatesUnreadable
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE: .connectionLost
        default: .failed(code: Int32(ending.code.rawValue))
        }
    }

    private static func reasonUnknown(_ ending: Ending) -> UnknownReason {
        switch ending.cutShort {
        // The lease does not matter once the body is fed.
        case .timedOut, .leaseEnded: return .timedOut
        case .canceled: return .canceled
        case .answerTooLarge: return .answerTooLarge
        case .fedTwice: return .connectionLost
        case nil: break
        }
        return switch ending.code {
        case CURLE_OPERATION_TIMEDOUT: .timedOut
        case CURLE_GOT_NOTHING, CURLE_SEND_FAIL_REWIND: .closedWithoutAnswer
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR: .connectionLost
        case CURLE_PARTIAL_FILE: .truncated
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_CONTENT_ENCODING, CURLE_HTTP2:
            .garbled
        default: .failed(code: Int32(ending.code.rawValue))
        }
    }
}
