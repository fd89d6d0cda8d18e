/// The keys of the receiver's log metadata, named as the worker names the same things.
enum LogKeys {
    static let address = "address"
    static let count = "count"
    static let dropped = "dropped"
    static let error = "error"
    static let malformed = "malformed"
    static let received = "received"
    static let refused = "refused"
    static let remedy = "remedy"
    static let unknown = "unknown"
    static let waiting = "waiting"
    static let written = "written"
}
