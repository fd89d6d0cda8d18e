/// The query of `GET …/Messages.json`.
struct ListQuery: Equatable {
    var to: [UInt8]?
    var from: [UInt8]?
    /// Only messages sent in these seconds. Nil for no filter, which unsent messages pass too.
    var sent: ClosedRange<Int64>?
    var page = 0
    var pageSize = 50
    /// Where the page starts: behind (older than) a message, or before (newer than) one.
    var start: Start = .newest

    enum Start: Equatable {
        case newest
        case behind([UInt8])
        case before([UInt8])
    }

    /// Reads the query. An invalid value is Twilio's 400.
    init(_ form: Form) throws(TwilioError) {
        func given(_ name: StaticString) -> [UInt8]? { form[name].flatMap { $0.isEmpty ? nil : $0 } }
        to = given("To")
        from = given("From")
        for (name, value) in [
            ("DateSent", given("DateSent")), ("DateSent<", given("DateSent<")), ("DateSent>", given("DateSent>")),
        ] {
            guard let value else { continue }
            guard let range = Dates.parse(String(utf8: value)) else {
                throw ErrorCatalog.invalidParameter(name, "must be YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ")
            }
            let bounds =
                switch name {
                case "DateSent<": 0...range.upperBound
                case "DateSent>": range.lowerBound...Int64.max
                default: range
                }
            let old = sent ?? 0...Int64.max
            // Two filters that exclude each other leave a range before 1970, which matches nothing.
            sent = old.overlaps(bounds) ? old.clamped(to: bounds) : -1 ... -1
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

/// One page of a list, newest first.
struct ListPage {
    var messages: [Message]
    var hasNext: Bool
    var hasPrevious: Bool
}

extension Simulator {
    func list(_ request: Request, at now: Microseconds) -> Result<Answer, TwilioError> {
        let form = Form(request.query.utf8)
        do {
            let query = try ListQuery(form)
            let page = try self.page(query, at: now)
            return .success(render(page, query: query, form: form, path: request.path, at: now))
        } catch {
            return .failure(error)
        }
    }

    /// The messages of one page, without those younger than the list lag.
    func page(_ query: ListQuery, at now: Microseconds) throws(TwilioError) -> ListPage {
        var newerThan = -1
        var olderThan = Int.max
        var skip = query.page > 0 ? query.page.multipliedReportingOverflow(by: query.pageSize).partialValue : 0
        switch query.start {
        case .newest: break
        case .behind(let sid):
            olderThan = try sequence(ofToken: sid)
            skip = 0
        case .before(let sid):
            newerThan = try sequence(ofToken: sid)
            skip = 0
        }
        let youngest = now - Int64(faults.listLagMilliseconds) * 1000
        var page = ListPage(messages: [], hasNext: false, hasPrevious: query.start != .newest || skip > 0)
        let takesNewest = newerThan < 0
        store.walk(to: query.to) { message in
            guard message.sequence > newerThan else { return false }
            guard message.sequence < olderThan, message.record.createdAt <= youngest,
                matches(message, query, at: now)
            else { return true }
            if takesNewest {
                if skip > 0 {
                    skip -= 1
                } else if page.messages.count < query.pageSize {
                    page.messages.append(message)
                } else {
                    page.hasNext = true
                    return false
                }
            } else {
                page.messages.append(message)
            }
            return true
        }
        if !takesNewest {
            page.hasPrevious = page.messages.count > query.pageSize
            page.messages = page.messages.suffix(query.pageSize)
            page.hasNext = true
        }
        return page
    }

    private func sequence(ofToken sid: [UInt8]) throws(TwilioError) -> Int {
        guard let sequence = sids.sequence(of: sid) else {
            throw ErrorCatalog.invalidParameter("PageToken", "is not one of this list")
        }
        return sequence
    }

    private func matches(_ message: Message, _ query: ListQuery, at now: Microseconds) -> Bool {
        if let from = query.from, !message.from.elementsEqual(from) { return false }
        guard let sent = query.sent else { return true }
        guard let sentAt = resource.state(of: message, at: now).sentAt else { return false }
        return sent.contains(sentAt / 1_000_000)
    }

    private func render(_ page: ListPage, query: ListQuery, form: Form, path: String, at now: Microseconds) -> Answer {
        let base = pageURI(form: form, path: path, pageSize: query.pageSize)
        var body = Array("{\"end\": \(query.page * query.pageSize + max(page.messages.count - 1, 0))".utf8)
        body.append(text: ", \"first_page_uri\": ")
        JSON.append(string: base + "&Page=0", to: &body)
        body.append(text: ", \"messages\": [")
        for (position, message) in page.messages.enumerated() {
            if position > 0 { body.append(text: ", ") }
            resource.append(message, at: now, to: &body)
        }
        body.append(text: "], \"next_page_uri\": ")
        append(page.hasNext ? page.messages.last : nil, "\(base)&Page=\(query.page + 1)&PageToken=PA", to: &body)
        body.append(text: ", \"page\": \(query.page), \"page_size\": \(query.pageSize), \"previous_page_uri\": ")
        append(
            page.hasPrevious ? page.messages.first : nil, "\(base)&Page=\(max(query.page - 1, 0))&PageToken=PB",
            to: &body)
        body.append(text: ", \"start\": \(query.page * query.pageSize), \"uri\": ")
        JSON.append(string: base + "&Page=\(query.page)", to: &body)
        body.append(text: "}")
        return Answer(status: 200, body: body)
    }

    private func append(_ message: Message?, _ uri: String, to output: inout [UInt8]) {
        guard let message else { return output.append(text: "null") }
        JSON.append(string: uri + String(utf8: sids.sid(message.sequence)), to: &output)
    }

    /// The list's address with its filters, but without a page.
    private func pageURI(form: Form, path: String, pageSize: Int) -> String {
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
