internal import CMigrations

/// A version of the table of phone numbers. It is the metadata of libphonenumber, by which SQL parses numbers. It is
/// data, separate from the migrations.
public struct NumberTable: Sendable, Equatable {
    /// The version of libphonenumber, such as `9.0.43`. A fourth number means that otpd wrote the same version
    /// differently.
    public var version: String
    /// The day of its release, such as `2026-11-06`.
    public var releasedOn: String
    /// When a database loaded it, as the database prints it; nil for a program's own table.
    public var loadedAt: String?

    public init(version: String, releasedOn: String, loadedAt: String? = nil) {
        self.version = version
        self.releasedOn = releasedOn
        self.loadedAt = loadedAt
    }

    /// The table that this program contains.
    public static let embedded = NumberTable(sql: sql) ?? NumberTable(version: "", releasedOn: "")

    /// The statements that load it into a database if it is newer than the present one. The last one returns whether it
    /// was.
    static let sql: String = {
        var length = 0
        guard let bytes = unsafe otp_numbers(&length) else { return "" }
        return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: length), as: UTF8.self)
    }()

    /// From the line `SELECT otp.load_numbers('9.0.43', '2026-11-06', …`; nil if there is none.
    init?(sql: String) {
        let lines = sql.prefix(2000).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("SELECT otp.load_numbers(") }) else { return nil }
        let parts = line.split(separator: "'", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "SELECT otp.load_numbers(", parts[2] == ", " else { return nil }
        self.init(version: String(parts[1]), releasedOn: String(parts[3]))
    }

    /// Whether it is newer than another table, or there is no other. Compares number by number, as `otp.load_numbers`
    /// does.
    public func isNewer(than other: NumberTable?) -> Bool {
        guard let other else { return true }
        func numbers(_ version: String) -> [Int] { version.split(separator: ".").map { Int($0) ?? 0 } }
        return numbers(other.version).lexicographicallyPrecedes(numbers(version))
    }
}

extension NumberTable: CustomStringConvertible {
    public var description: String { "\(version) of \(releasedOn)" }
}
