internal import CCurl
internal import Glibc

/// The system's words for an `errno`.
func systemWords(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }

/// libcurl's words for a `CURLcode`; static strings, free of anything of the request.
func curlWords(_ code: Int32) -> String { unsafe String(cString: curl_easy_strerror(CURLcode(UInt32(code)))) }
