/// One grant that a role needs: `otp_worker` for a worker, `otp_web` for a backend.
///
/// The GRANTs of the migrations are the only list. It is read from the compiled texts, and
/// `Tests/IntegrationTests/DoctorTests.swift` compares it with a migrated database. `Tests/sql/privileges.expected` is
/// the reviewed list of each role's rights.
public struct WorkerGrant: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case schema = "SCHEMA"
        case table = "TABLE"
        case sequence = "SEQUENCE"
        /// Every function of that name.
        case function = "FUNCTION"
    }

    /// The role that needs it.
    public var role = "otp_worker"
    public let kind: Kind
    /// The object's name without its schema; for the schema, the schema's name.
    public let name: String
    /// `SELECT`, `EXECUTE`, ….
    public let privilege: String
    /// The column of a table; nil for the whole object.
    public let column: String?

    /// The statement by which an owner grants it.
    public var statement: String {
        let object = kind == .schema ? "SCHEMA otp" : "\(kind == .table ? "" : "\(kind.rawValue) ")otp.\(name)"
        return "GRANT \(privilege)\(column.map { " (\($0))" } ?? "") ON \(object) TO \(role)"
    }

    /// All needed grants of both roles.
    public static var everybodys: [WorkerGrant] { all + web }

    /// All grants that a worker needs.
    public static let all = granted(to: "otp_worker")

    /// All grants that a backend needs.
    public static let web = granted(to: "otp_web")

    /// The grants of the migrations to `role`.
    private static func granted(to role: String) -> [WorkerGrant] {
        Migration.all.flatMap { read($0.up) }.filter { $0.role == role }
    }

    /// The GRANTs of a migration, each of which begins a line: `GRANT SELECT (id, code), INSERT ON otp.a, otp.b TO x,
    /// y;`.
    static func read(_ sql: String) -> [WorkerGrant] {
        sql.split(separator: "\nGRANT ").dropFirst().flatMap(grants)
    }

    private static func grants(_ text: Substring) -> [WorkerGrant] {
        let words = text.prefix { $0 != ";" }.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let parts = words.split(separator: " ON ").flatMap { $0.split(separator: " TO ") }
        guard parts.count == 3 else { return [] }
        let (kind, names) = objects(parts[1])
        var grants: [WorkerGrant] = []
        for role in parts[2].split(separator: ", ") {
            for name in names {
                for (privilege, column) in privileges(parts[0]) {
                    grants.append(
                        WorkerGrant(
                            role: String(role), kind: kind, name: name, privilege: privilege, column: column))
                }
            }
        }
        return grants
    }

    private static func objects(_ text: Substring) -> (kind: Kind, names: [String]) {
        let kind = [Kind.schema, .sequence, .function].first { text.hasPrefix($0.rawValue + " ") } ?? .table
        let list = kind == .table ? text : text.dropFirst(kind.rawValue.count + 1)
        return (kind, list.split(separator: ", ").map { String($0.hasPrefix("otp.") ? $0.dropFirst(4) : $0) })
    }

    /// `INSERT (a, b), SELECT` → INSERT of a, INSERT of b, SELECT of all.
    private static func privileges(_ text: Substring) -> [(String, String?)] {
        var privileges: [(String, String?)] = []
        for part in text.split(separator: "), ") {
            let (plain, columns) = (part.prefix { $0 != "(" }, part.drop { $0 != "(" })
            let names = plain.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init)
            guard !columns.isEmpty, let last = names.last else {
                privileges += names.map { ($0, nil) }
                continue
            }
            privileges += names.dropLast().map { ($0, nil) }
            privileges += columns.split(whereSeparator: { "(), ".contains($0) }).map { (last, String($0)) }
        }
        return privileges
    }
}
