import CCrypto

/// `X-Twilio-Signature`: base64(HMAC-SHA1(auth token, URL + sorted name and value pairs)).
enum Signature {
    /// Names sorted by byte, a name's repeated values deduplicated and sorted, no separators. Source: Twilio's
    /// security documentation and its SDKs' validators.
    static func sign(url: String, parameters: [(name: String, value: String)], authToken: String) -> String {
        var message = Array(url.utf8)
        var values: [String: Set<String>] = [:]
        for parameter in parameters { values[parameter.name, default: []].insert(parameter.value) }
        for name in values.keys.sorted(by: precedes) {
            for value in (values[name] ?? []).sorted(by: precedes) {
                message.append(text: name)
                message.append(text: value)
            }
        }
        return Base64.encode(hmacSHA1(key: Array(authToken.utf8), message: message))
    }

    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    /// 20 bytes.
    private static func hmacSHA1(key: [UInt8], message: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        var length: UInt32 = 0
        // The pointers are valid during this call alone.
        let made = unsafe digest.withUnsafeMutableBufferPointer { digest in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe message.withUnsafeBufferPointer { message in
                    unsafe HMAC(
                        EVP_sha1(), key.baseAddress, Int32(key.count), message.baseAddress, message.count,
                        digest.baseAddress, &length) != nil
                }
            }
        }
        precondition(made && length == 20, "libcrypto could not compute an HMAC-SHA-1")
        return digest
    }
}
