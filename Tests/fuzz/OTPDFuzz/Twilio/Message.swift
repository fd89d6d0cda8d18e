import OTP

@testable import HTTP
@testable import Twilio

/// A fetched message, and a page of a list: an accepted value agrees with the JSON, prints no text, and links to no other host.
func fuzzMessage(_ bytes: [UInt8]) {
    let json = JSON(bytes)
    if let message = try? MessageResource(json: bytes.span) {
        agree(message, json, bytes)
        require(message.description == "message \(message.sid) (\(message.status))", "it prints SID and status alone")
        var dumped = ""
        dump(message, to: &dumped)
        for secret in [message.body, message.to].compactMap({ $0 }) {
            let text = secret.withBytes { span in span.indices.map { span[$0] }.text }
            let shown = "\(message.sid) \(message.status) MessageResource status redacted"
            guard text.utf8.count >= 6, !shown.contains(text) else { continue }
            require(!dumped.contains(text), "a dump shows neither text nor number")
        }
    }
    fuzzCall(bytes, json)
    guard let page = try? MessagePage(json: bytes.span) else { return }
    if let members = json?.members, let list = unique("messages", members, bytes) {
        guard case .array(let elements) = list else { return require(false, "a page has a list of messages") }
        require(elements.count == page.messages.count, "a page overlooks no message")
        for (element, message) in zip(elements, page.messages) { agree(message, element, bytes) }
    }
    guard let next = page.nextPage else { return }
    let base = "https://api.twilio.com"
    require((try? URLParts(base + next))?.origin ?? base == base, "the next page is at the same host")
}

/// A fetched call, and a page of them: an accepted value agrees with the JSON, and a page overlooks no call.
private func fuzzCall(_ bytes: [UInt8], _ json: JSON?) {
    if let call = try? CallResource(json: bytes.span) {
        require((try? MessageResource(json: bytes.span)) == nil, "a call is not a message")
        require(call.description == "call \(call.sid) (\(call.status))", "it prints SID and status alone")
        if let members = json?.members, case .string(let raw, false)? = unique("sid", members, bytes) {
            require(bytes[raw].elementsEqual(call.sid.description.utf8), "the SID is the JSON's")
        }
    }
    guard let page = try? CallPage(json: bytes.span) else { return }
    if let members = json?.members, let list = unique("calls", members, bytes) {
        guard case .array(let elements) = list else { return require(false, "a page has a list of calls") }
        require(elements.count == page.calls.count, "a page overlooks no call")
    }
    guard let next = page.nextPage else { return }
    let base = "https://api.twilio.com"
    require((try? URLParts(base + next))?.origin ?? base == base, "the next page is at the same host")
}

private func agree(_ message: MessageResource, _ json: JSON?, _ bytes: [UInt8]) {
    guard let members = json?.members else { return }
    if case .string(let raw, false)? = unique("sid", members, bytes) {
        require(bytes[raw].elementsEqual(message.sid.description.utf8), "the SID is the JSON's")
    }
    if case .string(let raw, false)? = unique("status", members, bytes) {
        require(bytes[raw].elementsEqual(message.status.rawValue.utf8), "the status is the JSON's")
    }
    if case .string(let raw, false)? = unique("price", members, bytes) {
        require(message.price.map { bytes[raw].elementsEqual($0.utf8) } == true, "the price is verbatim")
    }
    if case .string(let raw, false)? = unique("body", members, bytes) {
        require(message.body == Secret(bytes[raw].text), "the text is the JSON's")
    }
    if case .number(let raw)? = unique("error_code", members, bytes), let code = Int(bytes[raw].text) {
        require(message.errorCode == code, "the error's code is the JSON's")
    }
}

/// The value of the only member with that name. Nil if there are several, or if its name contains escapes.
func unique(_ name: String, _ members: [JSON.Member], _ bytes: [UInt8]) -> JSON? {
    guard !members.contains(where: \.nameHasEscape) else { return nil }
    let found = members.filter { bytes[$0.name].elementsEqual(name.utf8) }
    return found.count == 1 ? found[0].value : nil
}
