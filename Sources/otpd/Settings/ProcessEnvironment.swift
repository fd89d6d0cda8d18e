// `environ` is a global variable of C. Swift cannot know that no thread changes it: see `current()`.
@unsafe @preconcurrency internal import Glibc

/// The process's environment.
enum ProcessEnvironment {
    /// All variables. Bytes that are not UTF-8 become U+FFFD, which the settings refuse.
    ///
    /// Call it at the start, while the process has one thread. `environ` belongs to the C library, and must not change
    /// while it is read. otpd changes it once, at the very start (`LibraryVariables`).
    static func current() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = unsafe environ
        while let text = unsafe entry.pointee {
            let pair = unsafe String(cString: text)
            if let equals = pair.firstIndex(of: "=") {
                variables[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
            }
            unsafe entry += 1
        }
        return variables
    }
}
