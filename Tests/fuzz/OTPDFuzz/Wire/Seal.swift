import OTP

@testable import Queue

/// A sealed code as it lies in the database: what opens under this secret is what was sealed, and that is one code. The
/// lengths in it may be written in another way; nothing else of it may differ.
func fuzzSeal(_ bytes: [UInt8]) {
    let secret = Secret("0123456789abcdefghijklmnopqrstuvwxyzABCDEF_-")
    let keys = CodeKeys(secret)
    let code = unsafe bytes.withUnsafeBytes { seal in unsafe keys.opener().open(seal, secret) }
    let sealed = try? Code("123456")
    require(code == nil || code == sealed, "only what was sealed opens")
}
