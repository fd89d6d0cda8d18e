internal import Glibc

/// Why a file could not be read, in the kernel's words.
struct FileError: Error, Equatable, CustomStringConvertible {
    /// What errno said; 0 with a reason of our own.
    let code: Int32
    let description: String

    init(code: Int32) {
        self.code = code
        description = SystemError.text(code)
    }

    init(_ reason: String) {
        code = 0
        description = reason
    }

    var isMissing: Bool { code == ENOENT }
}
