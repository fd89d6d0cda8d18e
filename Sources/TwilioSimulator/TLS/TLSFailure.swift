import CSSL

/// Why TLS cannot be used.
struct TLSFailure: Error, Equatable {
    var message: String

    /// With OpenSSL's own reason, if it has one.
    static func openSSL(_ message: String) -> TLSFailure {
        var buffer = [CChar](repeating: 0, count: 256)
        let code = ERR_get_error()
        guard code != 0 else { return TLSFailure(message: message) }
        // It ends with a NUL, within the buffer.
        unsafe ERR_error_string_n(code, &buffer, buffer.count)
        return TLSFailure(
            message: "\(message): \(String(utf8: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))))")
    }
}
