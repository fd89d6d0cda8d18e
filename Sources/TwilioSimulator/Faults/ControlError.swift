/// Why a control request was refused.
struct ControlError: Error, Equatable {
    var message: String
}

private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int?

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
}

extension Decoder {
    /// Refuses unknown keys, so that a misspelled one is reported.
    func refuseKeys(besides known: [String]) throws {
        let keys = try container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
        if let stranger = keys.first(where: { !known.contains($0) }) {
            throw ControlError(message: "unknown key \(stranger); known: \(known.joined(separator: ", "))")
        }
    }
}
