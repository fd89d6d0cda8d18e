internal import CCrypto

/// The two hashes that signatures need, from libcrypto (which libcurl loads anyway).
enum Digest {
    /// HMAC-SHA-1: twenty bytes.
    static func hmacSHA1(key: Span<UInt8>, message: Span<UInt8>) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let made = unsafe key.withUnsafeBytes { key in
            unsafe message.withUnsafeBufferPointer { message in
                unsafe code.withUnsafeMutableBufferPointer { code in
                    unsafe HMAC(
                        EVP_sha1(), key.baseAddress, Int32(key.count), message.baseAddress, message.count,
                        code.baseAddress, &length) != nil
                }
            }
        }
        // Fails only without memory or without SHA-1. A placeholder value would let forged signatures pass.
        precondition(made && length == 20, "libcrypto could not compute an HMAC-SHA-1")
        return Array(code.prefix(Int(length)))
    }

    /// SHA-256: 32 bytes.
    static func sha256(_ message: Span<UInt8>) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let made = unsafe message.withUnsafeBytes { message in
            unsafe digest.withUnsafeMutableBufferPointer { digest in
                unsafe EVP_Digest(
                    message.baseAddress, message.count, digest.baseAddress, &length, EVP_sha256(), nil) == 1
            }
        }
        precondition(made && length == 32, "libcrypto could not compute a SHA-256")
        return Array(digest.prefix(Int(length)))
    }
}
