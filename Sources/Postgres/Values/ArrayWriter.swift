/// Writes the elements of one array parameter, one after the other, straight into the flat buffer.
///
/// Binary format of arrays (`array_recv` in PostgreSQL's arrayfuncs.c). First the number of dimensions, whether there
/// are NULLs, and the element type. Then the length and lower bound of the dimension. Then for each element its length
/// (-1 for NULL) and its bytes.
public struct ArrayWriter: ~Copyable {
    private var parameters: Parameters
    private let start: Int
    private var elements: Int32 = 0
    private var hasNull = false

    init(_ parameters: consuming Parameters, of element: OID) {
        start = parameters.storage.count
        self.parameters = parameters
        self.parameters.put(1 as Int32)
        self.parameters.put(0 as Int32)
        self.parameters.put(element.rawValue)
        self.parameters.put(0 as Int32)
        self.parameters.put(1 as Int32)
    }

    consuming func finish() -> Parameters {
        if elements == 0 { parameters.patch(0, at: start) }
        parameters.patch(hasNull ? 1 : 0, at: start + 4)
        if elements == 0 {
            parameters.truncate(to: start + 12)
        } else {
            parameters.patch(elements, at: start + 12)
        }
        parameters.closeField(from: start)
        return parameters
    }

    /// Elements written so far.
    public var count: Int { Int(elements) }

    /// A NULL element.
    public mutating func appendNull() {
        elements += 1
        hasNull = true
        parameters.put(-1 as Int32)
    }

    /// A `boolean` element.
    public mutating func append(_ value: Bool) { fixed(1, value ? 1 as UInt8 : 0) }
    /// An `int2` element.
    public mutating func append(_ value: Int16) { fixed(2, value) }
    /// An `int4` element.
    public mutating func append(_ value: Int32) { fixed(4, value) }
    /// An `int8` element.
    public mutating func append(_ value: Int64) { fixed(8, value) }
    /// A `float8` element.
    public mutating func append(_ value: Double) { fixed(8, value.bitPattern) }
    /// A `timestamptz` element, in microseconds since the Unix epoch; `Int64.max` and `.min` are the infinities.
    public mutating func append(unixMicroseconds: Int64) { fixed(8, postgresMicroseconds(unixMicroseconds)) }
    /// A `tid` element.
    public mutating func append(_ value: TupleID) {
        sized {
            $0.put(value.block)
            $0.put(value.offset)
        }
    }
    /// A `text` element.
    public mutating func append(_ value: String) { sized { $0.put(utf8: value) } }
    /// An element of any type in its binary format.
    public mutating func append(bytes: [UInt8]) { sized { $0.put(bytes: bytes) } }
    /// An element of any type in its binary format, copied from memory that is only needed during this call.
    public mutating func append(bytes: UnsafeRawBufferPointer) { sized { unsafe $0.put(bytes: bytes) } }

    private mutating func fixed(_ length: Int32, _ value: some FixedWidthInteger) {
        elements += 1
        parameters.put(length)
        parameters.put(value)
    }

    private mutating func sized(_ write: (inout Parameters) -> Void) {
        elements += 1
        let offset = parameters.storage.count
        parameters.put(0 as Int32)
        write(&parameters)
        parameters.patch(Int32(parameters.storage.count - offset - 4), at: offset)
    }
}

extension Parameters {
    /// One array parameter whose elements `body` writes. All have the type `element`.
    public mutating func appendArray(of element: OID, _ body: (inout ArrayWriter) -> Void) {
        // Moved in and out, so that the buffer always has one owner and is never copied.
        var writer = ArrayWriter(take(), of: element)
        body(&writer)
        self = writer.finish()
    }

    // Inlinable, so that the compiler knows the caller's kind of sequence. Otherwise each element needs a type lookup.

    /// An `int2[]`.
    @inlinable public mutating func append(_ values: some Sequence<Int16>) {
        appendArray(of: .int2) { writer in for value in values { writer.append(value) } }
    }
    /// An `int4[]`.
    @inlinable public mutating func append(_ values: some Sequence<Int32>) {
        appendArray(of: .int4) { writer in for value in values { writer.append(value) } }
    }
    /// An `int8[]`.
    @inlinable public mutating func append(_ values: some Sequence<Int64>) {
        appendArray(of: .int8) { writer in for value in values { writer.append(value) } }
    }
    /// A `float8[]`.
    @inlinable public mutating func append(_ values: some Sequence<Double>) {
        appendArray(of: .float8) { writer in for value in values { writer.append(value) } }
    }
    /// A `boolean[]`.
    @inlinable public mutating func append(_ values: some Sequence<Bool>) {
        appendArray(of: .bool) { writer in for value in values { writer.append(value) } }
    }
    /// A `text[]`.
    public mutating func append(_ values: [String]) {
        appendArray(of: .text) { writer in for value in values { writer.append(value) } }
    }
    /// A `text[]` with NULLs.
    public mutating func append(_ values: [String?]) {
        appendArray(of: .text) { writer in
            for value in values { if let value { writer.append(value) } else { writer.appendNull() } }
        }
    }
    /// An `int8[]` with NULLs.
    public mutating func append(_ values: [Int64?]) {
        appendArray(of: .int8) { writer in
            for value in values { if let value { writer.append(value) } else { writer.appendNull() } }
        }
    }
    /// An `int4[]` with NULLs.
    public mutating func append(_ values: [Int32?]) {
        appendArray(of: .int4) { writer in
            for value in values { if let value { writer.append(value) } else { writer.appendNull() } }
        }
    }
    /// A `bytea[]` with NULLs.
    public mutating func append(_ values: [[UInt8]?]) {
        appendArray(of: .bytea) { writer in
            for value in values { if let value { writer.append(bytes: value) } else { writer.appendNull() } }
        }
    }
}
