internal import HTTP

/// How one mail ended.
public struct MailCompletion: Sendable {
    /// What was passed to `send`.
    public var tag: Int
    /// How it ended.
    public var outcome: TransferResult

    /// The four possible results of a mail.
    public enum TransferResult: Sendable, Hashable {
        /// The server accepted the mail. Its words often name the mail's id in its queue.
        case accepted(serverText: String)
        /// The server refused the mail, so it was surely not sent. See `MailRefusal.isPermanent`.
        case refused(MailRefusal)
        /// The dot that ends a content never left, so sending the mail again is safe.
        case notSent(MailNotSentReason)
        /// The dot may have left, and there is no clear reply. Never send the mail again without other evidence.
        case unknown(MailUnknownReason)
    }
}

/// Why a mail was surely not sent, without a refusal.
public enum MailNotSentReason: Sendable, Hashable, CustomStringConvertible {
    /// The host's name did not resolve.
    case nameLookupFailed
    /// No connection to any of the host's addresses; the last one's `errno`, 0 if unknown.
    case connectFailed(errno: Int32)
    /// No connection, TLS session and login within the connect timeout.
    case connectTimedOut
    /// TLS could not be negotiated, or the certificate is not trusted; libcurl's message.
    case tlsFailed(String)
    /// The server does not offer STARTTLS, or somebody on the way removed the offer.
    case tlsNotOffered
    /// The file of certificates to trust can't be read.
    case certificatesUnreadable
    /// No file descriptor was free: `EMFILE` (this process's limit) or `ENFILE` (the system's).
    case noDescriptor(errno: Int32)
    /// There is a user name, and the server offers no login by PLAIN or LOGIN.
    case loginNotOffered
    /// An address needs SMTPUTF8 (RFC 6531), which the server does not offer.
    case internationalAddress
    /// The bytes received are no reply, or one that makes no sense at that step.
    case garbled
    /// The lease ended before the dot could leave.
    case leaseEnded
    /// The mail's whole time was over before the dot could leave.
    case timedOut
    /// The connection was lost before the dot could leave.
    case connectionLost
    /// The client gave the mail up, or was closed.
    case canceled
    /// Another error, as a `CURLcode`.
    case failed(code: Int32)

    public var description: String {
        switch self {
        case .nameLookupFailed: "the mail server's name could not be resolved"
        case .connectFailed(let errno): "could not connect\(errno == 0 ? "" : ", \(systemWords(errno))")"
        case .connectTimedOut: "connection and login did not succeed in time"
        case .tlsFailed(let words): "no trusted TLS session could be set up\(words.isEmpty ? "" : ", \(words)")"
        case .tlsNotOffered: "the mail server does not offer STARTTLS"
        case .certificatesUnreadable: "the file of trusted certificates could not be read"
        case .noDescriptor(let errno): "no file descriptor was free, \(systemWords(errno))"
        case .loginNotOffered: "the mail server offers no login by PLAIN or LOGIN"
        case .internationalAddress: "the mail server does not support an address with characters other than ASCII"
        case .garbled: "the reply was not valid SMTP"
        case .leaseEnded: "the lease ended before the content was handed over"
        case .timedOut: "the mail timed out before its content was handed over"
        case .connectionLost: "the connection was lost before the content was handed over"
        case .canceled: "the mail was given up before its content was handed over"
        case .failed(let code): "libcurl: \(curlWords(code)) (\(code))"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        switch self {
        case .nameLookupFailed: "Check the host in OTPD_SMTP_URL and this machine's DNS."
        case .connectFailed, .connectTimedOut:
            "Check OTPD_SMTP_URL, that the mail server is up, and that a firewall lets this machine out. Many clouds "
                + "block port 25."
        case .tlsFailed:
            "Check the clock, and that OTPD_SMTP_URL names the host of the certificate. smtps:// is for port 465, "
                + "smtp:// for port 587. For a certificate of your own, name it in OTPD_CA_FILE."
        case .tlsNotOffered:
            "Use smtps:// if the server has TLS on port 465. otpd never sends codes without TLS to another machine."
        case .certificatesUnreadable: "Check OTPD_CA_FILE, or install the package ca-certificates."
        case .noDescriptor: "Raise the limit on open files (LimitNOFILE= of the unit, ulimit -n)."
        case .loginNotOffered: "Check the port in OTPD_SMTP_URL. Logins are usually offered on 587 and 465, not on 25."
        case .internationalAddress: "Use a mail server with SMTPUTF8, or ask the user for another address."
        case .garbled: "Check that OTPD_SMTP_URL leads to a mail server. The mail can safely be sent again."
        case .leaseEnded, .timedOut, .connectionLost, .canceled, .failed: "The mail can safely be sent again."
        }
    }
}

/// Why it is unknown whether a mail was accepted: the dot may have left, and there is no clear reply.
public enum MailUnknownReason: String, Sendable, Hashable, CustomStringConvertible {
    /// No reply in the mail's whole time.
    case timedOut
    /// The connection was lost before the reply.
    case connectionLost
    /// The bytes received are no reply, or one that makes no sense.
    case garbled
    /// The client was told to give up after the dot had been handed over.
    case canceled

    public var description: String {
        switch self {
        case .timedOut: "the mail server did not reply to the content in time"
        case .connectionLost: "the connection was lost before the mail server replied to the content"
        case .garbled: "the mail server's reply to the content was not valid SMTP"
        case .canceled: "the mail was given up before the mail server replied to the content"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        "The mail may have been accepted. Search the mail server's log for its Message-ID."
    }
}
