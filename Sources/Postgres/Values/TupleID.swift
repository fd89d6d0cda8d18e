/// The place of a row version in its table: PostgreSQL's `ctid`. It is valid until the row is written again or its
/// space is reused. So a statement that finds a row by it must check the key too.
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
