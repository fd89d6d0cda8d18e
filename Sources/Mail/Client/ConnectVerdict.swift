internal import CCurl

/// The facts about a connection that libcurl could not make. The result depends on nothing else.
struct ConnectFailure {
    /// libcurl's result.
    var code: CURLcode
    /// The server's last reply.
    var reply: SMTPReply?
    /// `CURLINFO_OS_ERRNO`.
    var systemError: Int32 = 0
    /// `EMFILE` or `ENFILE` if no file descriptor is free.
    var descriptorError: Int32?
    /// libcurl's message for the error.
    var message = ""

    /// The end of the mail that waited for the connection. No mail has been sent on it.
    var result: MailCompletion.TransferResult {
        // With other results, the last reply may be one that libcurl went on after.
        let isReply = [CURLE_LOGIN_DENIED, CURLE_WEIRD_SERVER_REPLY, CURLE_REMOTE_ACCESS_DENIED, CURLE_USE_SSL_FAILED]
            .contains(code)
        if let reply, reply.code >= 400, isReply {
            return .refused(MailRefusal(reply, code == CURLE_LOGIN_DENIED ? .login : .connection))
        }
        return .notSent(reason)
    }

    private var reason: MailNotSentReason {
        // libcurl has no code for this.
        if let descriptorError { return .noDescriptor(errno: descriptorError) }
        return switch code {
        case CURLE_COULDNT_RESOLVE_HOST: .nameLookupFailed
        case CURLE_COULDNT_CONNECT: .connectFailed(errno: systemError)
        case CURLE_OPERATION_TIMEDOUT: .connectTimedOut
        case CURLE_USE_SSL_FAILED: .tlsNotOffered
        case CURLE_LOGIN_DENIED: .loginNotOffered
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
            .tlsFailed(message)
        case CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE: .certificatesUnreadable
        case CURLE_WEIRD_SERVER_REPLY, CURLE_REMOTE_ACCESS_DENIED, CURLE_AUTH_ERROR, CURLE_BAD_CONTENT_ENCODING:
            .garbled
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING: .connectionLost
        default: .failed(code: Int32(code.rawValue))
        }
    }
}
