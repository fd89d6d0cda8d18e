/// An entry of a list, with its number in the order of creation.
protocol Listed {
    var sequence: Int { get }
}

extension Message: Listed {}
extension Call: Listed {}

/// One page of a list, newest first.
struct ListPage<Entry: Listed> {
    var entries: [Entry] = []
    var hasNext = false
    var hasPrevious = false

    /// Gathers the page of a query. `number` gives the sequence number of a page token's SID. `walk` calls its argument with
    /// the entries that match, from newest to oldest, until it returns false.
    init(
        _ query: ListQuery, number: ([UInt8]) -> Int?, walk: ((Entry) -> Bool) -> Void
    ) throws(TwilioError) {
        var newerThan = -1
        var olderThan = Int.max
        var skip = query.page > 0 ? query.page.multipliedReportingOverflow(by: query.pageSize).partialValue : 0
        switch query.start {
        case .newest: break
        case .behind(let sid):
            olderThan = try Self.sequence(number(sid))
            skip = 0
        case .before(let sid):
            newerThan = try Self.sequence(number(sid))
            skip = 0
        }
        var found: [Entry] = []
        var hasNext = false
        let takesNewest = newerThan < 0
        walk { entry in
            guard entry.sequence > newerThan else { return false }
            guard entry.sequence < olderThan else { return true }
            if takesNewest {
                if skip > 0 {
                    skip -= 1
                } else if found.count < query.pageSize {
                    found.append(entry)
                } else {
                    hasNext = true
                    return false
                }
            } else {
                found.append(entry)
            }
            return true
        }
        if takesNewest {
            (entries, self.hasNext) = (found, hasNext)
            hasPrevious = query.start != .newest || query.page > 0
        } else {
            entries = found.suffix(query.pageSize)
            self.hasNext = true
            hasPrevious = found.count > query.pageSize
        }
    }

    private static func sequence(_ number: Int?) throws(TwilioError) -> Int {
        guard let number else { throw ErrorCatalog.invalidParameter("PageToken", "is not one of this list") }
        return number
    }

    /// The page in the list format of Twilio's 2010 API. `append` prints an entry, `sid` is its SID.
    func answer(
        _ name: String, _ query: ListQuery, form: Form, path: String, append: (Entry, inout [UInt8]) -> Void,
        sid: (Entry) -> [UInt8]
    ) -> Answer {
        let base = Self.pageURI(form: form, path: path, pageSize: query.pageSize)
        func link(_ entry: Entry?, _ uri: String, to output: inout [UInt8]) {
            guard let entry else { return output.append(text: "null") }
            JSON.append(string: uri + String(utf8: sid(entry)), to: &output)
        }
        var body = Array("{\"end\": \(query.page * query.pageSize + max(entries.count - 1, 0))".utf8)
        body.append(text: ", \"first_page_uri\": ")
        JSON.append(string: base + "&Page=0", to: &body)
        body.append(text: ", \"\(name)\": [")
        for (position, entry) in entries.enumerated() {
            if position > 0 { body.append(text: ", ") }
            append(entry, &body)
        }
        body.append(text: "], \"next_page_uri\": ")
        link(hasNext ? entries.last : nil, "\(base)&Page=\(query.page + 1)&PageToken=PA", to: &body)
        body.append(text: ", \"page\": \(query.page), \"page_size\": \(query.pageSize), \"previous_page_uri\": ")
        link(hasPrevious ? entries.first : nil, "\(base)&Page=\(max(query.page - 1, 0))&PageToken=PB", to: &body)
        body.append(text: ", \"start\": \(query.page * query.pageSize), \"uri\": ")
        JSON.append(string: base + "&Page=\(query.page)", to: &body)
        body.append(text: "}")
        return Answer(status: 200, body: body)
    }

    /// The list's address with its filters, but without a page.
    private static func pageURI(form: Form, path: String, pageSize: Int) -> String {
        var uri = Array(path.utf8)
        uri.append(UInt8(ascii: "?"))
        for field in form.fields where !["Page", "PageSize", "PageToken"].contains(String(utf8: field.name)) {
            PercentEncoding.append(field.name, to: &uri)
            uri.append(UInt8(ascii: "="))
            PercentEncoding.append(field.value, to: &uri)
            uri.append(UInt8(ascii: "&"))
        }
        uri.append(text: "PageSize=\(pageSize)")
        return String(utf8: uri)
    }
}
