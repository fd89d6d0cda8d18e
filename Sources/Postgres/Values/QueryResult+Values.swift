extension QueryResult {
    /// An `int8`, `int4` or `int2`; 0-based row and column.
    ///
    /// - Throws: `.misuse` for NULL or another type, as all of these methods do.
    public func int64(_ row: Int, _ column: Int) throws(PostgresError) -> Int64 {
        try present(row, column, try int64IfPresent(row, column))
    }
    /// An integer that fits 32 bits.
    public func int32(_ row: Int, _ column: Int) throws(PostgresError) -> Int32 {
        try present(row, column, try int32IfPresent(row, column))
    }
    /// A `boolean`.
    public func bool(_ row: Int, _ column: Int) throws(PostgresError) -> Bool {
        try present(row, column, try boolIfPresent(row, column))
    }
    /// A `float8` or `float4`.
    public func double(_ row: Int, _ column: Int) throws(PostgresError) -> Double {
        try present(row, column, try doubleIfPresent(row, column))
    }
    /// A `text` or anything else whose bytes are UTF-8.
    public func string(_ row: Int, _ column: Int) throws(PostgresError) -> String {
        try present(row, column, try stringIfPresent(row, column))
    }
    /// A copy of the bytes of a value: a `bytea`, or any binary format.
    public func bytes(_ row: Int, _ column: Int) throws(PostgresError) -> [UInt8] {
        try present(row, column, bytesIfPresent(row, column))
    }
    /// A `timestamptz` in microseconds since the Unix epoch; `Int64.max` and `.min` for the infinities.
    public func unixMicroseconds(_ row: Int, _ column: Int) throws(PostgresError) -> Int64 {
        try present(row, column, try unixMicrosecondsIfPresent(row, column))
    }

    /// An integer, or nil for NULL.
    public func int64IfPresent(_ row: Int, _ column: Int) throws(PostgresError) -> Int64? {
        try unsafe withBytes(row, column) { bytes throws(PostgresError) -> Int64? in
            guard let bytes = unsafe bytes else { return nil }
            guard isBinary(column) else {
                guard let value = unsafe Int64(String(decoding: bytes, as: UTF8.self)) else {
                    throw mismatch(row, column, "an integer")
                }
                return value
            }
            switch bytes.count {
            case 8: return unsafe Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
            case 4: return unsafe Int64(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
            case 2: return unsafe Int64(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self)))
            default: throw mismatch(row, column, "an integer")
            }
        }
    }

    /// An integer that fits 32 bits, or nil for NULL.
    public func int32IfPresent(_ row: Int, _ column: Int) throws(PostgresError) -> Int32? {
        guard let wide = try int64IfPresent(row, column) else { return nil }
        guard let value = Int32(exactly: wide) else { throw mismatch(row, column, "a 32-bit integer") }
        return value
    }

    /// A `boolean`, or nil for NULL.
    public func boolIfPresent(_ row: Int, _ column: Int) throws(PostgresError) -> Bool? {
        try unsafe withBytes(row, column) { bytes throws(PostgresError) -> Bool? in
            guard let bytes = unsafe bytes else { return nil }
            guard bytes.count == 1 else { throw mismatch(row, column, "a boolean") }
            switch unsafe bytes[0] {
            case 1, UInt8(ascii: "t"): return true
            case 0, UInt8(ascii: "f"): return false
            default: throw mismatch(row, column, "a boolean")
            }
        }
    }

    /// A `float8` or `float4`, or nil for NULL.
    public func doubleIfPresent(_ row: Int, _ column: Int) throws(PostgresError) -> Double? {
        try unsafe withBytes(row, column) { bytes throws(PostgresError) -> Double? in
            guard let bytes = unsafe bytes else { return nil }
            guard isBinary(column) else {
                guard let value = unsafe Double(String(decoding: bytes, as: UTF8.self)) else {
                    throw mismatch(row, column, "a float8")
                }
                return value
            }
            switch (type(of: column), bytes.count) {
            case (.float8, 8):
                return unsafe Double(bitPattern: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)))
            case (OID(rawValue: 700), 4):
                return unsafe Double(Float(bitPattern: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))))
            default: throw mismatch(row, column, "a float8")
            }
        }
    }

    /// Text, or nil for NULL.
    public func stringIfPresent(_ row: Int, _ column: Int) throws(PostgresError) -> String? {
        try unsafe withBytes(row, column) { bytes throws(PostgresError) -> String? in
            guard let bytes = unsafe bytes else { return nil }
            // `String(validating:as:)` is not used, because it looks its types up at each call, which costs more than
            // the string.
            guard let text = unsafe try? UTF8Span(validating: Span(_unsafeBytes: bytes)) else {
                throw mismatch(row, column, "text")
            }
            return String(copying: text)
        }
    }

    /// A copy of the bytes of a value, or nil for NULL.
    public func bytesIfPresent(_ row: Int, _ column: Int) -> [UInt8]? {
        unsafe withBytes(row, column) { unsafe $0.map { unsafe [UInt8]($0) } }
    }

    /// A `timestamptz` in microseconds since the Unix epoch, or nil for NULL.
    public func unixMicrosecondsIfPresent(_ row: Int, _ column: Int) throws(PostgresError) -> Int64? {
        guard isBinary(column) else { throw mismatch(row, column, "a binary timestamptz") }
        guard let value = try int64IfPresent(row, column) else { return nil }
        if value == .max || value == .min { return value }
        // PostgreSQL's last thirty years (up to 294276-12-31) exceed 64 bits of microseconds since 1970.
        let (unix, overflow) = value.addingReportingOverflow(postgresEpoch)
        guard !overflow else { throw mismatch(row, column, "a timestamptz in the range of 64-bit microseconds") }
        return unix
    }

    /// A `tid`, such as a row's `ctid`.
    public func tupleID(_ row: Int, _ column: Int) throws(PostgresError) -> TupleID {
        try present(
            row, column,
            try unsafe withBytes(row, column) { bytes throws(PostgresError) -> TupleID? in
                guard let bytes = unsafe bytes else { return nil }
                guard isBinary(column), bytes.count == 6 else { throw mismatch(row, column, "a binary tid") }
                return unsafe TupleID(
                    block: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)),
                    offset: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
            })
    }

    private func present<T>(_ row: Int, _ column: Int, _ value: T?) throws(PostgresError) -> T {
        guard let value else { throw .misuse("row \(row), column \(column) of a result is NULL, but needs a value") }
        return value
    }

    /// Names the place and the type, never the value.
    private func mismatch(_ row: Int, _ column: Int, _ wanted: String) -> PostgresError {
        .misuse("row \(row), column \(column) of a result is not \(wanted) (its type is \(type(of: column).rawValue))")
    }
}
