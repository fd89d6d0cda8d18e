/// Where a version of a row lies in its table: PostgreSQL's `ctid`. It holds until the row is written again or the space is
/// reused, so whoever finds a row by it checks the key as well.
public struct TupleID: Sendable, Equatable {
    /// The page, from 0.
    public let block: UInt32
    /// The line pointer within the page, from 1.
    public let offset: UInt16

    public init(block: UInt32, offset: UInt16) {
        self.block = block
        self.offset = offset
    }
}
