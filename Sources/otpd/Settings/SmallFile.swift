internal import Glibc

/// Reads settings' files: secrets and certificates, a few KB each.
enum SmallFile {
    /// Far above any bundle of certificates; a path that points at something else by mistake is not read to its end.
    static let limit = 8 * 1024 * 1024

    /// The whole file. Throws a `FileError`.
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
