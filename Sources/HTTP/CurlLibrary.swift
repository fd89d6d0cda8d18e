internal import CCurl
internal import Glibc

/// The process's libcurl.
enum CurlLibrary {
    /// Initializes libcurl once for the process; nil if it is ready for use.
    ///
    /// Safe from any thread: Swift runs the initializer once, and libcurl's own is thread-safe since 7.84. From then on
    /// SIGPIPE is ignored, unless the process handles it, because with `CURLOPT_NOSIGNAL` libcurl no longer ignores it
    /// around its writes.
    static let failure: HTTPError? = {
        let code = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        guard code == CURLE_OK else { return HTTPError(.setup("curl_global_init failed with \(code.rawValue)")) }
        var current = sigaction()
        if unsafe sigaction(SIGPIPE, nil, &current) == 0, unsafe current.__sigaction_handler.sa_handler == nil {
            signal(SIGPIPE, SIG_IGN)
        }
        guard let version = unsafe version_info() else { return nil }
        guard unsafe version.pointee.version_num >= 0x07_58_01 else {
            return HTTPError(.setup("libcurl is older than 7.88.1"))
        }
        guard unsafe version.pointee.features & CURL_VERSION_ASYNCHDNS != 0 else {
            return HTTPError(.setup("this libcurl resolves names synchronously and would stop the event loop"))
        }
        return nil
    }()
}
