/// The parameters of one execution, in PostgreSQL's binary format in one flat buffer.
///
/// Keep one and call `removeAll()` between executions. Once the buffer has grown, filling it allocates nothing.
/// Parameters are never printed.
public struct Parameters: Sendable, CustomStringConvertible, CustomReflectable {
    struct Field {
        var offset: Int
        /// The length in bytes; -1 is NULL.
        var length: Int
    }

    private(set) var storage: [UInt8] = []
    private(set) var fields: [Field] = []

    /// No parameters.
    public init() {}

    /// How many parameters there are.
    public var count: Int { fields.count }

    public var description: String { "\(count) parameters" }
    public var customMirror: Mirror { Mirror(self, children: ["count": count]) }

    /// Removes all parameters and keeps the memory.
    public mutating func removeAll() {
        storage.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
    }

    /// NULL of any type.
    public mutating func appendNull() { fields.append(Field(offset: storage.count, length: -1)) }

    /// A `boolean`.
    public mutating func append(_ value: Bool) { field { $0.put(value ? 1 as UInt8 : 0) } }
    /// An `int2`.
    public mutating func append(_ value: Int16) { field { $0.put(value) } }
    /// An `int4`.
    public mutating func append(_ value: Int32) { field { $0.put(value) } }
    /// An `int8`.
    public mutating func append(_ value: Int64) { field { $0.put(value) } }
    /// A `float8`.
    public mutating func append(_ value: Double) { field { $0.put(value.bitPattern) } }
    /// A `text` or `varchar`. Not for `jsonb`, which needs a version byte first. The server refuses a NUL in it.
    public mutating func append(_ value: String) { field { $0.put(utf8: value) } }
    /// The raw binary format of any type: UTF-8 for `text`, the bytes for `bytea`, 16 bytes for `uuid`.
    public mutating func append(bytes: some Sequence<UInt8>) { field { $0.storage.append(contentsOf: bytes) } }
    /// The binary format of any type, copied from memory that is only needed during this call.
    public mutating func append(bytes: UnsafeRawBufferPointer) { field { unsafe $0.storage.append(contentsOf: bytes) } }

    /// A `timestamptz`, in microseconds since the Unix epoch; `Int64.max` and `.min` are the infinities.
    public mutating func append(unixMicroseconds: Int64) { field { $0.put(postgresMicroseconds(unixMicroseconds)) } }
    /// An `interval` of this many microseconds (no days, no months).
    public mutating func append(intervalMicroseconds: Int64) {
        field {
            $0.put(intervalMicroseconds)
            $0.put(0 as Int64)
        }
    }

    /// NULL, or the value.
    public mutating func append(_ value: Bool?) { if let value { append(value) } else { appendNull() } }
    /// NULL, or the value.
    public mutating func append(_ value: Int16?) { if let value { append(value) } else { appendNull() } }
    /// NULL, or the value.
    public mutating func append(_ value: Int32?) { if let value { append(value) } else { appendNull() } }
    /// NULL, or the value.
    public mutating func append(_ value: Int64?) { if let value { append(value) } else { appendNull() } }
    /// NULL, or the value.
    public mutating func append(_ value: Double?) { if let value { append(value) } else { appendNull() } }
    /// NULL, or the value.
    public mutating func append(_ value: String?) { if let value { append(value) } else { appendNull() } }

    private mutating func field(_ write: (inout Parameters) -> Void) {
        let offset = storage.count
        write(&self)
        fields.append(Field(offset: offset, length: storage.count - offset))
    }

    // MARK: Parts of arrays

    mutating func put(_ value: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe storage.append(contentsOf: $0) }
    }

    mutating func put(utf8 value: String) { storage.append(contentsOf: value.utf8) }
    mutating func put(bytes: [UInt8]) { storage.append(contentsOf: bytes) }
    mutating func put(bytes: UnsafeRawBufferPointer) { unsafe storage.append(contentsOf: bytes) }

    /// Overwrites four bytes that were written earlier.
    mutating func patch(_ value: Int32, at offset: Int) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe storage.replaceSubrange(offset..<offset + 4, with: $0) }
    }

    mutating func truncate(to length: Int) { storage.removeSubrange(length...) }

    /// Moves the parameters out and leaves none here.
    mutating func take() -> Parameters {
        let taken = self
        self = Parameters()
        return taken
    }

    mutating func closeField(from offset: Int) {
        fields.append(Field(offset: offset, length: storage.count - offset))
    }
}

/// PostgreSQL's value for a time. The infinities stay the same, and times before its first one become `-infinity`.
func postgresMicroseconds(_ unixMicroseconds: Int64) -> Int64 {
    if unixMicroseconds == .max { return .max }
    let (value, overflow) = unixMicroseconds.subtractingReportingOverflow(postgresEpoch)
    return overflow ? .min : value
}

/// 2000-01-01 in microseconds since the Unix epoch, which is the zero of PostgreSQL's binary timestamps.
let postgresEpoch: Int64 = 946_684_800_000_000
