internal import CLibpq

/// The pointer arrays in which libpq takes parameters. They are reused, so that binding allocates nothing.
///
/// Used on the loop's thread, within one call at a time.
@safe final class Binder {
    private var values: [UnsafePointer<CChar>?] = unsafe []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []
    private var types: [UInt32] = []

    /// Queues the execution of a prepared statement with a binary result. False if libpq refuses.
    func sendExecution(_ statement: Statement, _ parameters: Parameters, on pointer: OpaquePointer) -> Bool {
        unsafe values.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        let count = parameters.count
        while formats.count < count { formats.append(1) }
        return unsafe parameters.storage.withUnsafeBufferPointer { storage in
            // libpq takes a null pointer for NULL, so an empty value needs an address, which is not read.
            let base = unsafe storage.baseAddress.map { unsafe UnsafeRawPointer($0) } ?? nowhere
            for field in parameters.fields {
                lengths.append(Int32(max(0, field.length)))
                unsafe values.append(
                    field.length < 0 ? nil : (base + field.offset).assumingMemoryBound(to: CChar.self))
            }
            // libpq copies all of it into its output buffer before it returns.
            return unsafe PQsendQueryPrepared(pointer, statement.name, Int32(count), values, lengths, formats, 1) == 1
        }
    }

    /// Queues the preparation of a statement.
    func sendPreparation(_ statement: Statement, on pointer: OpaquePointer) -> Bool {
        types.removeAll(keepingCapacity: true)
        for type in statement.parameterTypes { types.append(type.rawValue) }
        return unsafe PQsendPrepare(pointer, statement.name, statement.sql, Int32(types.count), types) == 1
    }

    /// Queues the removal of a statement. libpq 15 has no message of its own for it.
    func sendDeallocation(_ statement: Statement, on pointer: OpaquePointer) -> Bool {
        let name = statement.name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
        return unsafe PQsendQueryParams(pointer, "DEALLOCATE \"\(name)\"", 0, nil, nil, nil, nil, 0) == 1
    }

    private let nowhere = UnsafeRawPointer(UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8))
    deinit { unsafe nowhere.deallocate() }
}
