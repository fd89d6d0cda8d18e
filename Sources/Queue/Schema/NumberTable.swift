internal import CMigrations

/// A table of phone numbers, by its version: the metadata of libphonenumber, which SQL reads numbers by. It is data of its
/// own, apart from the steps of the schema.
public struct NumberTable: Sendable, Equatable {
    /// The version of libphonenumber, such as `9.0.43`; a fourth number where otpd writes the same one differently.
    public var version: String
    /// The day of its release, such as `2026-11-06`.
    public var releasedOn: String
    /// When a database took it in, as the database prints it; nil of a program's own.
    public var loadedAt: String?

    public init(version: String, releasedOn: String, loadedAt: String? = nil) {
        self.version = version
        self.releasedOn = releasedOn
        self.loadedAt = loadedAt
    }

    /// The table that this program brings.
    public static let embedded = NumberTable(sql: sql) ?? NumberTable(version: "", releasedOn: "")

    /// The statements that take it into a database, where it is newer than what is there. The last one answers whether it was.
    static let sql: String = {
        var length = 0
        guard let bytes = unsafe otp_numbers(&length) else { return "" }
        return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: length), as: UTF8.self)
    }()

    /// From the line `SELECT otp.load_numbers('9.0.43', '2026-11-06', …`; nil where there is none.
    init?(sql: String) {
        let lines = sql.prefix(2000).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("SELECT otp.load_numbers(") }) else { return nil }
        let parts = line.split(separator: "'", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "SELECT otp.load_numbers(", parts[2] == ", " else { return nil }
        self.init(version: String(parts[1]), releasedOn: String(parts[3]))
    }

    /// Whether it is newer than another table, or there is none; number by number, as `otp.load_numbers` compares.
    public func isNewer(than other: NumberTable?) -> Bool {
        guard let other else { return true }
        func numbers(_ version: String) -> [Int] { version.split(separator: ".").map { Int($0) ?? 0 } }
        return numbers(other.version).lexicographicallyPrecedes(numbers(version))
    }
}

extension NumberTable: CustomStringConvertible {
    public var description: String { "\(version) of \(releasedOn)" }
}
