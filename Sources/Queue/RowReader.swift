internal import Postgres

/// Reads one row's columns in the order in which its statement selects them.
struct RowReader {
    private let result: Postgres.Result
    private let row: Int
    private var column = 0

    init(_ result: Postgres.Result, _ row: Int) {
        self.result = result
        self.row = row
    }

    mutating func int64() throws(PostgresError) -> Int64 {
        defer { column += 1 }
        return try result.int64(row, column)
    }

    mutating func int64IfPresent() throws(PostgresError) -> Int64? {
        defer { column += 1 }
        return try result.int64IfPresent(row, column)
    }

    mutating func int32() throws(PostgresError) -> Int32 {
        defer { column += 1 }
        return try result.int32(row, column)
    }

    mutating func bool() throws(PostgresError) -> Bool {
        defer { column += 1 }
        return try result.bool(row, column)
    }

    mutating func double() throws(PostgresError) -> Double {
        defer { column += 1 }
        return try result.double(row, column)
    }

    mutating func doubleIfPresent() throws(PostgresError) -> Double? {
        defer { column += 1 }
        return try result.doubleIfPresent(row, column)
    }

    mutating func stringIfPresent() throws(PostgresError) -> String? {
        defer { column += 1 }
        return try result.stringIfPresent(row, column)
    }

    mutating func unixMicroseconds() throws(PostgresError) -> Int64 {
        defer { column += 1 }
        return try result.unixMicroseconds(row, column)
    }

    mutating func tupleID() throws(PostgresError) -> TupleID {
        defer { column += 1 }
        return try result.tupleID(row, column)
    }

    /// The bytes of the next two columns, nil for NULL: they are the result's, and end with `body`.
    mutating func withTwo<Value>(
        _ body: (UnsafeRawBufferPointer?, UnsafeRawBufferPointer?) -> Value
    ) -> Value {
        defer { column += 2 }
        return unsafe result.withBytes(row, column) { first in
            unsafe result.withBytes(row, column + 1) { second in unsafe body(first, second) }
        }
    }
}
