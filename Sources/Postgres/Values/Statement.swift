/// The number of a PostgreSQL type, as in `pg_type.oid`.
public struct OID: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let bool = OID(rawValue: 16)
    public static let bytea = OID(rawValue: 17)
    public static let int8 = OID(rawValue: 20)
    public static let int2 = OID(rawValue: 21)
    public static let int4 = OID(rawValue: 23)
    public static let text = OID(rawValue: 25)
    public static let tid = OID(rawValue: 27)
    public static let float8 = OID(rawValue: 701)
    public static let timestamptz = OID(rawValue: 1184)
    public static let interval = OID(rawValue: 1186)
    public static let boolArray = OID(rawValue: 1000)
    public static let byteaArray = OID(rawValue: 1001)
    public static let int4Array = OID(rawValue: 1007)
    public static let textArray = OID(rawValue: 1009)
    public static let tidArray = OID(rawValue: 1010)
    public static let int8Array = OID(rawValue: 1016)
    public static let float8Array = OID(rawValue: 1022)
    public static let timestamptzArray = OID(rawValue: 1185)
}

/// One SQL statement, prepared once per connection at its first execution there. Declare a `static let` per operation.
///
///     static let claim = Statement("claim", "SELECT …  LIMIT $1", [.int4])
public struct Statement: Sendable {
    /// Its name on the server. One name stands for one SQL text throughout the program.
    public let name: String
    /// One SQL command with `$1`, `$2`, … for its parameters.
    public let sql: String
    /// The types of the parameters in order. If empty or short, the server infers the rest.
    public let parameterTypes: [OID]

    /// Makes a statement `sql` called `name`.
    public init(_ name: String, _ sql: String, _ parameterTypes: [OID] = []) {
        self.name = name
        self.sql = sql
        self.parameterTypes = parameterTypes
    }
}

/// What happens to a sent statement when its deadline passes.
public enum OnDeadline: Sendable {
    /// The connection is dropped at once.
    case drop
    /// The server is asked to cancel it. The connection is dropped only if no answer comes within the settings'
    /// `cancelGrace`. Nothing is pipelined behind such a statement, because a cancel hits whichever statement is
    /// running.
    case cancel
}

/// What happens to a statement when the calling task is canceled.
public enum OnCancellation: Sendable {
    /// Nothing changes: it is sent and its result awaited, up to its deadline.
    case wait
    /// As `OnDeadline.cancel`.
    case cancel
    /// As `OnDeadline.drop`.
    case drop
}
