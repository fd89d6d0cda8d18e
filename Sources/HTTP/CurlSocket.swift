package import CCurl
package import EventLoop
internal import Glibc

/// The sockets of libcurl's connections, for every client in this process.
package enum CurlSocket {
    /// Opens a socket that discards its unsent bytes when it is closed, also at the end of this process. A socket that
    /// still retransmitted could deliver a text long after the last lookup for it.
    ///
    /// Returns `CURL_SOCKET_BAD` and sets `errno` if no socket can be opened.
    package static func open(
        _ address: UnsafeMutablePointer<curl_sockaddr>, userTimeout: Instant.Duration
    ) -> curl_socket_t {
        let wanted = unsafe address.pointee
        let descriptor = socket(wanted.family, wanted.socktype | Int32(SOCK_CLOEXEC.rawValue), wanted.protocol)
        guard descriptor >= 0 else { return CURL_SOCKET_BAD }
        var discard = linger(l_onoff: 1, l_linger: 0)
        var limit = UInt32(clamping: userTimeout.millisecondsRoundedUp)
        guard
            unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_LINGER, &discard, socklen_t(MemoryLayout<linger>.size)) == 0,
            unsafe setsockopt(
                descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &limit, socklen_t(MemoryLayout<UInt32>.size)) == 0
        else {
            Glibc.close(descriptor)
            return CURL_SOCKET_BAD
        }
        return descriptor
    }

    /// `EMFILE` or `ENFILE` if no file descriptor is free: the last socket failed with it (`openError`), or the next
    /// one would.
    package static func descriptorError(openError: Int32) -> Int32? {
        if openError == EMFILE || openError == ENFILE { return openError }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard probe < 0 else {
            Glibc.close(probe)
            return nil
        }
        return errno == EMFILE || errno == ENFILE ? errno : nil
    }
}
