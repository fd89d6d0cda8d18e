internal import CLibpq

/// One PGresult between libpq and its owner. `~Copyable`, so that it is cleared exactly once.
@safe struct Received: ~Copyable {
    private let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }
    deinit { unsafe PQclear(pointer) }

    var status: ExecStatusType { unsafe PQresultStatus(pointer) }
    var error: ServerError { unsafe ServerError(pointer) }

    consuming func result() -> QueryResult {
        let pointer = unsafe pointer
        discard self
        return unsafe QueryResult(owning: pointer)
    }
}
