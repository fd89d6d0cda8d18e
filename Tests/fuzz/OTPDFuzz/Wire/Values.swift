import CLibpq

@testable import Postgres

/// One value as a server sends it (a byte of type, a byte of format, then the value), read in every way. The result is an error,
/// or a value that can be written back unchanged. The bytes also serve as the elements of an array that is written.
func fuzzValues(_ bytes: [UInt8]) {
    guard bytes.count >= 2 else { return }
    let types: [UInt32] = [16, 17, 20, 21, 23, 25, 700, 701, 1114, 1184, 2950]
    let type = types[Int(bytes[0]) % types.count]
    let isBinary = bytes[1] & 1 == 1
    let value = Array(bytes.dropFirst(2))
    let result = made(type: type, isBinary: isBinary, value)

    let integer = try? result.int64(0, 0)
    if let integer {
        require((try? result.int32(0, 0)) == Int32(exactly: integer), "32 bits are the same or refused")
        if isBinary {
            let wide = value.reduce(value[0] >= 0x80 ? Int64(-1) : 0) { $0 << 8 | Int64($1) }
            require([2, 4, 8].contains(value.count) && integer == wide, "it is big-endian and signed")
        } else {
            require(Int64(value.text) == integer, "it is the number of the text")
        }
    } else {
        require(!isBinary || ![2, 4, 8].contains(value.count), "an integer of eight, four or two bytes is one")
    }
    if let bool = try? result.bool(0, 0) {
        require(value == (bool ? [1] : [0]) || value == Array((bool ? "t" : "f").utf8), "a boolean is one of two")
    }
    if let double = try? result.double(0, 0), isBinary, type == 701 {
        require(value.count == 8 && double.bitPattern == value.reduce(0) { $0 << 8 | UInt64($1) }, "the bits are those")
    }
    require((try? result.string(0, 0)) == String(validating: value, as: UTF8.self), "text is UTF-8 or refused")
    require((try? result.bytes(0, 0)) == value, "bytes are bytes")
    if let time = try? result.unixMicroseconds(0, 0), let integer {
        require(isBinary, "a timestamp is binary")
        let (shifted, overflow) = integer.addingReportingOverflow(postgresEpoch)
        let isInfinite = integer == .max || integer == .min
        require(isInfinite ? time == integer : !overflow && time == shifted, "it is the time, or infinite")
        // A value that was read can be written, and stays the same.
        var parameters = Parameters()
        parameters.append(unixMicroseconds: time)
        require(value.count != 8 || parameters.storage == value, "written again it is the same")
    }
    writesArrays(value)
    _ = result.affectedRows
    require(result.column("a") == 0 && result.column("b") == nil && result.name(of: 0) == "a", "the column is found")
}

private func made(type: UInt32, isBinary: Bool, _ value: [UInt8]) -> QueryResult {
    let result = PQmakeEmptyPGresult(nil, PGRES_TUPLES_OK)!
    let isMade = "a".withCString { name in
        var column = PGresAttDesc()
        column.name = UnsafeMutablePointer(mutating: name)
        column.format = isBinary ? 1 : 0
        column.typid = type
        return PQsetResultAttrs(result, 1, &column) == 1
    }
    // Copied into memory of exactly this size, so that a read beyond it is found.
    var copy = value.map { CChar(bitPattern: $0) }
    require(isMade && PQsetvalue(result, 0, 0, &copy, Int32(value.count)) == 1, "libpq makes a result")
    return QueryResult(owning: result)
}

/// The elements are the parts between bytes 0xFF; an empty part is a NULL. Read back as `array_recv` reads them.
private func writesArrays(_ bytes: [UInt8]) {
    let elements = bytes.isEmpty ? [] : bytes.split(separator: 0xFF, omittingEmptySubsequences: false).map { Array($0) }
    var parameters = Parameters()
    parameters.append(7 as Int32)
    parameters.append(elements.map { $0.isEmpty ? nil : $0 })
    parameters.append(true)
    require(parameters.count == 3, "there are three parameters")
    let field = parameters.fields[1]
    require(
        field.offset == 4 && parameters.fields[2].offset == field.offset + field.length, "they lie one after another")
    var at = field.offset
    func number() -> Int32 {
        defer { at += 4 }
        return Int32(bitPattern: parameters.storage[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }
    let dimensions = number()
    let hasNull = number()
    require(number() == 17 && hasNull == (elements.contains([]) ? 1 : 0), "the head tells of NULLs and of the type")
    require(dimensions == (elements.isEmpty ? 0 : 1), "an empty array has no dimension")
    if dimensions == 1 { require(number() == Int32(elements.count) && number() == 1, "the dimension begins at 1") }
    for element in elements {
        let length = number()
        require(length == (element.isEmpty ? -1 : Int32(element.count)), "an element has its length")
        require(Array(parameters.storage[at..<at + element.count]) == element, "and its bytes")
        at += element.count
    }
    require(at == field.offset + field.length, "and there is nothing else")
}
