/// Reads the columns of one row in the order in which the statement names them.
///
///     try result.map { row throws(PostgresError) in Country(region: try row.next(), sender: try row.next()) }
public struct RowReader {
    private let result: QueryResult
    private let row: Int
    private var column = 0

    init(_ result: QueryResult, _ row: Int) {
        self.result = result
        self.row = row
    }

    /// The next column, as the type that the caller infers. Only an optional type may be NULL.
    ///
    /// - Throws: `.misuse` for NULL, or a value of another type.
    public mutating func next<Value: ColumnValue>() throws(PostgresError) -> Value {
        defer { column += 1 }
        return try Value.decode(result, row, column)
    }

    /// The next column, a `timestamptz`, in microseconds since the Unix epoch.
    public mutating func nextUnixMicroseconds() throws(PostgresError) -> Int64 {
        defer { column += 1 }
        return try result.unixMicroseconds(row, column)
    }

    /// The result of `body` for the bytes of the next two columns, nil for NULL. The bytes belong to the result and end
    /// with it.
    public mutating func withNextTwo<Value>(
        _ body: (UnsafeRawBufferPointer?, UnsafeRawBufferPointer?) -> Value
    ) -> Value {
        defer { column += 2 }
        return unsafe result.withBytes(row, column) { first in
            unsafe result.withBytes(row, column + 1) { second in unsafe body(first, second) }
        }
    }
}

extension QueryResult {
    /// A reader of one row, 0-based.
    public func reader(_ row: Int = 0) -> RowReader { RowReader(self, row) }

    /// The results of `read` for all rows.
    public func map<Value>(
        _ read: (inout RowReader) throws(PostgresError) -> Value
    ) throws(PostgresError) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(rowCount)
        for row in 0..<rowCount {
            var reader = reader(row)
            values.append(try read(&reader))
        }
        return values
    }
}

/// A type that a column's value can be decoded as.
public protocol ColumnValue {
    /// The value of a column, 0-based as the row.
    static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Self
}

extension Int64: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Int64 {
        try result.int64(row, column)
    }
}

extension Int: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Int {
        Int(try result.int64(row, column))
    }
}

extension Int32: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Int32 {
        try result.int32(row, column)
    }
}

extension Bool: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Bool {
        try result.bool(row, column)
    }
}

extension Double: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Double {
        try result.double(row, column)
    }
}

extension String: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> String {
        try result.string(row, column)
    }
}

extension TupleID: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> TupleID {
        try result.tupleID(row, column)
    }
}

extension Optional: ColumnValue where Wrapped: ColumnValue {
    public static func decode(_ result: QueryResult, _ row: Int, _ column: Int) throws(PostgresError) -> Wrapped? {
        result.isNull(row, column) ? nil : try Wrapped.decode(result, row, column)
    }
}
