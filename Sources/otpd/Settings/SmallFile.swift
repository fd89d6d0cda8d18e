internal import Glibc

/// Reads the settings' files: secrets and certificates of a few KB each.
enum SmallFile {
    /// The largest size. It is far above any bundle of certificates, and keeps otpd from reading a wrong path to its
    /// end.
    static let limit = 8 * 1024 * 1024

    /// Reads the whole file. Throws a `FileError`.
    static func read(_ path: String) throws -> [UInt8] {
        guard !path.utf8.contains(0) else { throw FileError("its name contains a NUL") }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw FileError(code: errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(code: errno)
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw FileError("it is larger than \(limit / 1024 / 1024) MiB") }
        }
    }
}

/// Why a file could not be read.
struct FileError: Error, Equatable, CustomStringConvertible {
    /// The errno. 0 for a reason of otpd's own.
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
