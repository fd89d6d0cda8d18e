internal import CCurl
internal import Glibc

/// Why a request's body never wholly left this process, so that sending it again cannot duplicate it.
public enum NotSentReason: Sendable, Hashable, CustomStringConvertible {
    /// The host's name did not resolve.
    case nameLookupFailed
    /// No connection to any of the host's addresses; the last one's `errno`, 0 if unknown.
    case connectFailed(errno: Int32)
    /// No connection, or no TLS session, within the connect timeout.
    case connectTimedOut
    /// TLS could not be negotiated, or the certificate is not trusted; libcurl's message.
    case tlsFailed(String)
    /// The file of certificates to trust can't be read.
    case certificatesUnreadable
    /// No file descriptor was free: `EMFILE` (this process's limit) or `ENFILE` (the system's).
    case noDescriptor(errno: Int32)
    /// The lease ended before the body was fed.
    case leaseEnded
    /// The request's whole time was over before the body was fed.
    case timedOut
    /// The connection was lost before the whole body was fed.
    case connectionLost
    /// The client gave the request up, or was closed.
    case canceled
    /// Another error, as a `CURLcode`.
    case failed(code: Int32)

    public var description: String {
        switch self {
        case .nameLookupFailed: "the host's name could not be resolved"
        case .connectFailed(let errno): "could not connect\(errno == 0 ? "" : ", \(systemWords(errno))")"
        case .connectTimedOut: "no connection was made in time"
        case .tlsFailed(let words): "no trusted TLS session could be set up\(words.isEmpty ? "" : ", \(words)")"
        case .certificatesUnreadable: "the file of trusted certificates could not be read"
        case .noDescriptor(let errno): "no file descriptor was free, \(systemWords(errno))"
        case .leaseEnded: "the lease ended before the body was handed over"
        case .timedOut: "the request timed out before the body was handed over"
        case .connectionLost: "the connection was lost before the body was handed over"
        case .canceled: "the request was given up before the body was handed over"
        case .failed(let code): "libcurl: \(curlWords(code)) (\(code))"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        switch self {
        case .nameLookupFailed: "Check the host in the base URL and this machine's DNS."
        case .connectFailed, .connectTimedOut: "Check that the host is up and that a firewall lets this machine out."
        case .tlsFailed: "Check the clock. If a proxy re-signs TLS, name its certificate in OTPD_CA_FILE."
        case .certificatesUnreadable: "Check OTPD_CA_FILE, or install the package ca-certificates."
        case .noDescriptor(ENFILE): "Raise fs.file-max, or find the process with so many open files."
        case .noDescriptor: "Raise the limit on open files (LimitNOFILE= of the unit, ulimit -n)."
        case .leaseEnded, .timedOut, .connectionLost, .canceled, .failed: "The request can safely be sent again."
        }
    }
}

/// The system's message for an `errno`.
package func systemWords(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }

/// libcurl's message for a `CURLcode`: a static string, without anything of the request.
package func curlWords(_ code: Int32) -> String { unsafe String(cString: curl_easy_strerror(CURLcode(UInt32(code)))) }
