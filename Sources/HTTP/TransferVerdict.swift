internal import CCurl

/// Why this client itself put an end to a transfer.
enum CutShort {
    case leaseEnded
    case timedOut
    case answerTooLarge
    case canceled
    /// libcurl asked for a body once more that it had been given whole.
    case fedTwice
}

/// What is known of a transfer that has ended: all that its verdict depends on.
struct Ending {
    /// libcurl's result; meaningless if it was cut short.
    var code: CURLcode = CURLE_OK
    var cutShort: CutShort?
    /// Whether the whole body was handed to libcurl, or, where there is none, a byte of the head had left.
    var isWhollyFed: Bool
    /// Whether the connection and its TLS session stood.
    var isConnected = true
    var status = 0
    /// `CURLINFO_OS_ERRNO`.
    var systemError: Int32 = 0
    /// `EMFILE` or `ENFILE` where no file descriptor is free; asked for only where nothing was sent.
    var descriptorError: () -> Int32? = { nil }
    /// libcurl's words on the error; asked for only where TLS failed.
    var message: () -> String = { "" }
}

/// What has become of a request; decided purely.
enum TransferVerdict: Equatable {
    case answered
    case notSent(NotSentReason)
    case unknown(UnknownReason)

    /// Fed to libcurl is not sent, but what was not wholly fed can't have been carried out: a body that is shorter than
    /// its Content-Length is no request. So the feed, which is known for certain, draws the line.
    init(_ ending: Ending) {
        if ending.cutShort == nil, ending.code == CURLE_OK {
            // A final status is never below 200; libcurl refuses HTTP/0.9 by itself.
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
        // An early answer that could not be taken in: the body had not left, which is what counts.
        case .answerTooLarge, .fedTwice: return .connectionLost
        case nil: break
        }
        // libcurl has no code for it: a lookup, a socket or a file that could not be opened each fail by their own.
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
        // The lease is not asked about once the body is fed.
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
