import OTP

@testable import Queue

/// A sealed code as it is stored in the database. If it opens with this secret, the result is the code that was sealed. The
/// lengths in it may be written in another way, and nothing else may differ.
func fuzzSeal(_ bytes: [UInt8]) {
    let secret = Secret("0123456789abcdefghijklmnopqrstuvwxyzABCDEF_-")
    let keys = CodeKeys(secret)
    let code = unsafe bytes.withUnsafeBytes { seal in unsafe keys.opener().open(seal, secret) }
    let sealed = try? Code("123456")
    require(code == nil || code == sealed, "only what was sealed opens")
}
