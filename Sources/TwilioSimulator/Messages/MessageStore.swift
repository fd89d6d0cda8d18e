/// The newest messages, in memory: fixed-size records in chunks, with the text in one arena per chunk.
///
/// Bounded: past `capacity` the oldest whole chunk is dropped. A message is found by its sequence number (which its SID
/// encodes), by `To` through a chain that starts in `index`, or by walking. Used only on the event loop that owns it.
final class MessageStore {
    /// What is known of a message's use (`ProvideFeedback`, `Feedback.json`).
    enum Feedback: UInt8 {
        /// The message was created without `ProvideFeedback`.
        case none
        /// None has come yet.
        case expected
        case confirmed, unconfirmed
    }

    /// One message, 48 bytes. Its text is in the chunk's arena: to, from, service SID, body.
    struct Record {
        var createdAt: Microseconds
        /// The sequence number of the message before this one to the same number; −1 for none.
        var previousForTo: Int
        var offset: UInt32
        var errorCode: UInt32
        var bodyLength: UInt16
        var segments: UInt16
        var toLength: UInt8
        var fromLength: UInt8
        var serviceLength: UInt8
        var outcome: Outcome
        var deleted = false
        /// Deleted by a reset of its channel, and no longer in the index.
        var forgotten = false
        var feedback = Feedback.none
    }

    /// The index entry of a number.
    struct Entry {
        var newest: Int
        /// How many messages to this number are kept.
        var count: Int
        var channel: Channel
    }

    /// A new message's values.
    struct Draft {
        var to: [UInt8]
        var from: [UInt8]
        var service: [UInt8]
        var body: [UInt8]
        var segments: Int
        var outcome: Outcome
        var errorCode: UInt32
        var wantsFeedback = false
    }

    private final class Chunk {
        var records: ContiguousArray<Record> = []
        var text: [UInt8] = []
    }

    static let chunkSize = 8192
    let capacity: Int
    /// The sequence number of the next message, which is also how many were created since the last reset.
    private(set) var next = 0
    /// The sequence number of the oldest message kept.
    private(set) var first = 0
    private(set) var index: [UInt64: Entry] = [:]
    private var chunks: [Chunk] = []

    init(capacity: Int) {
        self.capacity = max(capacity, Self.chunkSize)
    }

    /// Adds a message and returns its sequence number.
    func add(_ draft: Draft, at now: Microseconds) -> Int {
        let sequence = next
        if sequence % Self.chunkSize == 0 { startChunk() }
        let chunk = chunks[chunks.count - 1]
        let key = Self.key(draft.to)
        let entry = index[key]
        chunk.records.append(
            Record(
                createdAt: now, previousForTo: entry?.newest ?? -1, offset: UInt32(chunk.text.count),
                errorCode: draft.errorCode, bodyLength: UInt16(draft.body.count), segments: UInt16(draft.segments),
                toLength: UInt8(draft.to.count), fromLength: UInt8(draft.from.count),
                serviceLength: UInt8(draft.service.count), outcome: draft.outcome,
                feedback: draft.wantsFeedback ? .expected : .none))
        chunk.text.append(contentsOf: draft.to)
        chunk.text.append(contentsOf: draft.from)
        chunk.text.append(contentsOf: draft.service)
        chunk.text.append(contentsOf: draft.body)
        index[key] = Entry(
            newest: sequence, count: (entry?.count ?? 0) + 1, channel: entry?.channel ?? .ofMessage(to: draft.to))
        next += 1
        return sequence
    }

    /// The message with that sequence number. Nil if it never existed, is no longer kept, or was deleted.
    func message(_ sequence: Int) -> Message? {
        guard sequence >= first, sequence < next else { return nil }
        let chunk = chunks[(sequence - first) / Self.chunkSize]
        let record = chunk.records[sequence % Self.chunkSize]
        return record.deleted ? nil : Message(sequence: sequence, record: record, text: chunk.text)
    }

    /// The newest message to a number, deleted or not.
    func newest(_ entry: Entry) -> Message? {
        guard entry.newest >= first, entry.newest < next else { return nil }
        let chunk = chunks[(entry.newest - first) / Self.chunkSize]
        let record = chunk.records[entry.newest % Self.chunkSize]
        return Message(sequence: entry.newest, record: record, text: chunk.text)
    }

    /// Empties the text of a message for good.
    func redact(_ sequence: Int) {
        update(sequence) { $0.bodyLength = 0 }
    }

    func record(_ feedback: Feedback, for sequence: Int) {
        update(sequence) { $0.feedback = feedback }
    }

    func delete(_ sequence: Int) {
        update(sequence) { $0.deleted = true }
    }

    /// Calls `visit` with messages from newest to oldest, only those to `to` if given, until it returns false.
    func walk(to: [UInt8]?, visit: (Message) -> Bool) {
        var sequence = to.map { index[Self.key($0)]?.newest ?? -1 } ?? next - 1
        while sequence >= first {
            let record = chunks[(sequence - first) / Self.chunkSize].records[sequence % Self.chunkSize]
            if let message = message(sequence), to.map({ message.to.elementsEqual($0) }) ?? true, !visit(message) {
                return
            }
            sequence = to == nil ? sequence - 1 : record.previousForTo
        }
    }

    /// Removes everything. Earlier SIDs are unknown from then on, because sequence numbers continue.
    func removeAll() {
        chunks = []
        index = [:]
        next = (next + Self.chunkSize - 1) / Self.chunkSize * Self.chunkSize
        first = next
    }

    /// Removes the messages of one channel.
    func removeAll(_ channel: Channel) {
        index = index.filter { $0.value.channel != channel }
        for sequence in first..<next {
            guard let message = message(sequence), message.channel == channel else { continue }
            update(sequence) { ($0.deleted, $0.forgotten) = (true, true) }
        }
    }

    private func update(_ sequence: Int, _ change: (inout Record) -> Void) {
        guard sequence >= first, sequence < next else { return }
        change(&chunks[(sequence - first) / Self.chunkSize].records[sequence % Self.chunkSize])
    }

    private func startChunk() {
        if (chunks.count + 1) * Self.chunkSize > capacity + Self.chunkSize { dropOldestChunk() }
        let chunk = Chunk()
        chunk.records.reserveCapacity(Self.chunkSize)
        chunks.append(chunk)
    }

    private func dropOldestChunk() {
        let oldest = chunks.removeFirst()
        for (position, record) in oldest.records.enumerated() where !record.forgotten {
            let start = Int(record.offset)
            let key = Self.key(oldest.text[start..<start + Int(record.toLength)])
            guard var entry = index[key] else { continue }
            entry.count -= 1
            index[key] = entry.newest == first + position ? nil : entry
        }
        first += Self.chunkSize
    }

    /// A number of at most 18 digits as itself (its plus sign counts), anything else as a hash. The walk compares the
    /// text, so a collision costs time and never changes a result.
    static func key(_ to: some Collection<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var number: UInt64 = 1
        var plain = to.count <= 19 && to.first == UInt8(ascii: "+")
        for (position, byte) in to.enumerated() {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            if position > 0, plain {
                plain = byte >= 0x30 && byte <= 0x39
                number = number &* 10 &+ UInt64(byte &- 0x30)
            }
        }
        return plain ? number : hash | 1 << 63
    }
}

/// One stored message.
struct Message {
    let sequence: Int
    let record: MessageStore.Record
    /// The arena of its chunk, shared.
    let text: [UInt8]

    private func slice(_ skipped: Int, _ count: Int) -> ArraySlice<UInt8> {
        let start = Int(record.offset) + skipped
        return text[start..<start + count]
    }

    var to: ArraySlice<UInt8> { slice(0, Int(record.toLength)) }
    var from: ArraySlice<UInt8> { slice(Int(record.toLength), Int(record.fromLength)) }
    /// The messaging service's SID; empty if there is none.
    var service: ArraySlice<UInt8> {
        slice(Int(record.toLength) + Int(record.fromLength), Int(record.serviceLength))
    }
    var body: ArraySlice<UInt8> {
        slice(
            Int(record.toLength) + Int(record.fromLength) + Int(record.serviceLength), Int(record.bodyLength))
    }
    var channel: Channel { .ofMessage(to: to) }
    var viaService: Bool { record.serviceLength > 0 }
}
