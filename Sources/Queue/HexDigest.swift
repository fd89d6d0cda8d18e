internal import CCrypto

/// SHA-256 as 64 hexadecimal digits in lower case, like PostgreSQL's `encode(sha256(…), 'hex')`.
enum HexDigest {
    static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hash = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        unsafe _ = SHA256(bytes.baseAddress, bytes.count, &hash)
        let digits = Array("0123456789abcdef".utf8)
        return hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
