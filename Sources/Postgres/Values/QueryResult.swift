internal import CLibpq
internal import Synchronization

/// The result of one statement: the sole owner of a `PGresult`, which is freed with it.
///
/// Addressed as (row, column), counted from 0. Nothing is copied until it is read.
///
/// `@unchecked Sendable`: libpq never changes a PGresult after it has returned it, and any thread may read it
/// (libpq, "Behavior in Threaded Programs").
@safe public final class QueryResult: @unchecked Sendable {
    private let pointer: OpaquePointer
    /// The number of rows.
    public let rowCount: Int
    /// The number of columns of each row.
    public let columnCount: Int
    /// The server's notices during the statement, its commit included. A WARNING with SQLSTATE 01000 ("canceling wait
    /// for synchronous replication …") means that the commit is not durable. In explicit transactions the commit's own
    /// notices come with the COMMIT.
    public internal(set) var notices: [ServerError] = []

    /// The number of results in this process, to measure leaks.
    static var live: Int { count.load(ordering: .relaxed) }
    private static let count = Atomic(0)

    /// Takes ownership of `pointer`.
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
        rowCount = unsafe Int(PQntuples(pointer))
        columnCount = unsafe Int(PQnfields(pointer))
        Self.count.add(1, ordering: .relaxed)
    }

    deinit {
        unsafe PQclear(pointer)
        Self.count.subtract(1, ordering: .relaxed)
    }

    /// Rows inserted, updated, deleted, merged or selected; 0 for other commands.
    public var affectedRows: Int {
        guard let text = unsafe PQcmdTuples(pointer) else { return 0 }
        return unsafe Int(String(cString: text)) ?? 0
    }

    /// The index of the column called `name`; nil when there is none.
    public func column(_ name: String) -> Int? {
        (0..<columnCount).first { column in
            guard let found = unsafe PQfname(pointer, Int32(column)) else { return false }
            return unsafe String(cString: found) == name
        }
    }

    /// The name of a column.
    public func name(of column: Int) -> String {
        guard let name = unsafe PQfname(pointer, Int32(column)) else { return "" }
        return unsafe String(cString: name)
    }

    /// The type of a column.
    public func type(of column: Int) -> OID {
        OID(rawValue: unsafe PQftype(pointer, Int32(column)))
    }

    /// Whether a value is NULL.
    public func isNull(_ row: Int, _ column: Int) -> Bool {
        check(row, column)
        return unsafe PQgetisnull(pointer, Int32(row), Int32(column)) == 1
    }

    /// Whether a column is in binary format (`execute`) rather than text (`simple`).
    func isBinary(_ column: Int) -> Bool { unsafe PQfformat(pointer, Int32(column)) == 1 }

    /// Lends the bytes of one value to `body`, during that call only. Nil for NULL.
    public func withBytes<T, E: Error>(
        _ row: Int, _ column: Int, _ body: (UnsafeRawBufferPointer?) throws(E) -> T
    ) throws(E) -> T {
        check(row, column)
        let (row, column) = (Int32(row), Int32(column))
        guard unsafe PQgetisnull(pointer, row, column) == 0, let start = unsafe PQgetvalue(pointer, row, column) else {
            return try body(nil)
        }
        let length = unsafe Int(PQgetlength(pointer, row, column))
        defer { withExtendedLifetime(self) {} }
        return try unsafe body(UnsafeRawBufferPointer(start: start, count: length))
    }

    private func check(_ row: Int, _ column: Int) {
        precondition(
            row >= 0 && row < rowCount && column >= 0 && column < columnCount,
            "row \(row), column \(column) of a result of \(rowCount) × \(columnCount)")
    }
}
