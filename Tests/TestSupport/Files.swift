import Glibc

/// Files as text.
public enum Files {
    public static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The names in a folder.
    public static func list(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }

    public static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw Trouble("cannot write \(path)") }
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Trouble("cannot write \(path)") }
    }

    /// A new folder in /tmp, which the caller deletes.
    public static func makeFolder() throws(Trouble) -> String {
        var template = Array("/tmp/otpd-test-XXXXXX\0".utf8).map { CChar($0) }
        guard mkdtemp(&template) != nil else { throw Trouble("cannot make a folder in /tmp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The files of this repository, which tests read.
public enum Repository {
    /// Its folder, from this file's path.
    public static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    /// A file as text, by its path from the root.
    public static func read(_ path: String) -> String { Files.read("\(root)/\(path)") }
}

/// One folder in /tmp for the output of this run's processes. Deleted when the run ends.
public enum ScratchFolder {
    public static let shared = Result<String, Trouble> { () throws(Trouble) in
        atexit { delete() }
        return try Files.makeFolder()
    }

    /// Deletes the folder and its files.
    private static func delete() {
        guard case .success(let path) = shared else { return }
        for name in Files.list(path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}

/// The process's environment.
public enum Environment {
    public static let current: [String: String] = {
        var values: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return values
    }()

    /// The environment of child processes: where the server is, and no setting of otpd's. Programs built with a
    /// sanitizer report to the same place as this process (Tests/sanitize/run).
    public static var base: [String: String] {
        current.filter {
            $0.key.hasPrefix("PG") || $0.key.hasSuffix("SAN_OPTIONS")
                || ["PATH", "HOME", "LANG", "TMPDIR", "LD_PRELOAD"].contains($0.key)
        }
    }
}

/// Executables beside the test bundle.
public enum BuildFolder {
    public static func executable(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folders = ([own] + CommandLine.arguments).map { $0.split(separator: "/").dropLast().joined(separator: "/") }
        for folder in folders where access("/\(folder)/\(name)", X_OK) == 0 { return "/\(folder)/\(name)" }
        throw Trouble("no \(name) in \(folders): build the product first")
    }
}
