/// The query of `GET …/Messages.json` and `GET …/Calls.json`.
struct ListQuery: Equatable {
    var to: [UInt8]?
    var from: [UInt8]?
    /// Only messages sent, or calls started, in these seconds. Nil for no filter, which the others pass too.
    var dates: ClosedRange<Int64>?
    /// Only calls with that status.
    var status: [UInt8]?
    var page = 0
    var pageSize = 50
    /// Where the page starts: behind (older than) a message, or before (newer than) one.
    var start: Start = .newest

    enum Start: Equatable {
        case newest
        case behind([UInt8])
        case before([UInt8])
    }

    /// Reads the query. `date` is the name of the filter for dates. An invalid value is Twilio's 400.
    init(_ form: Form, date: String) throws(TwilioError) {
        func given(_ name: String) -> [UInt8]? { form.value(name).flatMap { $0.isEmpty ? nil : $0 } }
        to = given("To")
        from = given("From")
        status = given("Status")
        for suffix in ["", "<", ">"] {
            let name = date + suffix
            guard let value = given(name) else { continue }
            guard let range = Dates.parse(String(utf8: value)) else {
                throw ErrorCatalog.invalidParameter(name, "must be YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ")
            }
            let bounds =
                switch suffix {
                case "<": 0...range.upperBound
                case ">": range.lowerBound...Int64.max
                default: range
                }
            let old = dates ?? 0...Int64.max
            // Two filters that exclude each other leave a range before 1970, which matches nothing.
            dates = old.overlaps(bounds) ? old.clamped(to: bounds) : -1 ... -1
        }
        page = try Self.number(form, "Page", 0...Int.max) ?? 0
        pageSize = min(try Self.number(form, "PageSize", 1...Int.max) ?? 50, 1000)
        if let token = given("PageToken") {
            switch token.prefix(2) {
            case [UInt8(ascii: "P"), UInt8(ascii: "A")]: start = .behind(Array(token.dropFirst(2)))
            case [UInt8(ascii: "P"), UInt8(ascii: "B")]: start = .before(Array(token.dropFirst(2)))
            default: throw ErrorCatalog.invalidParameter("PageToken", "is not one of this list")
            }
        }
    }

    private static func number(
        _ form: Form, _ name: StaticString, _ range: ClosedRange<Int>
    ) throws(TwilioError) -> Int? {
        guard let text = form.text(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw ErrorCatalog.invalidParameter(
                name.description, "must be a whole number of \(range.lowerBound) or more")
        }
        return number
    }
}
