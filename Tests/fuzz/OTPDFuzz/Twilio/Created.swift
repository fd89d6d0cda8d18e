import OTP

@testable import Twilio

/// The answer to a create request. A SID that counts as evidence must be the one that a JSON reader finds.
func fuzzCreatedMessage(_ bytes: [UInt8]) {
    let scanned = CreatedMessage.scan(bytes.span)
    if let scanned {
        let quoted = Array("\"\(scanned.sid)\"".utf8)
        require(bytes.contains(sequence: quoted), "the SID stands in the answer, in quotes")
    }
    if let members = JSON(bytes)?.members { agree(members, bytes, scanned) }

    // An answer with another recipient belongs to another request. One without a recipient, or with ours, belongs to this one.
    if let scanned, let number = try? PhoneNumber(e164: "+966501234567") {
        for channel in [Channel.sms, .whatsapp, .call] {
            let recipient = (channel == .whatsapp ? "whatsapp:" : "") + number.e164
            let isOurs = scanned.to.map { bytes[$0].elementsEqual(recipient.utf8) } ?? true
            let isKind = scanned.sid.isCall == (channel == .call)
            let outcome = Outcome.classify(
                httpStatus: 201, retryAfter: nil, body: bytes.span, recipient: number, channel: channel)
            require(
                outcome
                    == (isOurs && isKind
                        ? .accepted(scanned.sid, status: scanned.status) : .unknown(.foreignAnswer)),
                "an answer is of its own request")
        }
    }
    let channel: Channel = scanned?.sid.isCall == true ? .call : .sms
    for status in [200, 201, 202, 204, 301, 400, 408, 429, 499, 500, 503, 999] {
        let outcome = Outcome.classify(httpStatus: status, retryAfter: nil, body: bytes.span, channel: channel)
        guard case .accepted(let sid, _) = outcome else {
            require(status != 201 || scanned == nil, "201 with a SID is accepted")
            continue
        }
        require(status == 201 && sid == scanned?.sid, "only 201 is accepted, with the SID of the scan")
    }
}

private typealias Scanned = (sid: MessageSID, status: MessageStatus?, to: Range<Int>?)

private func agree(_ members: [JSON.Member], _ bytes: [UInt8], _ scanned: Scanned?) {
    var scan = MemberScan(bytes.span)
    require(scan != nil, "an object is one to the scan")
    for expected in members {
        let member = scan?.next(in: bytes.span)
        require(member?.name == expected.name, "the members come in their order")
        if case .string(let raw, _) = expected.value {
            require(member?.string == raw, "a string is found whole")
        } else {
            require(member?.string == nil, "what is no string is not taken for one")
        }
    }
    require(scan?.next(in: bytes.span) == nil, "the object ends where it ends")

    func first(_ name: String, _ isGood: (ArraySlice<UInt8>) -> Bool) -> ArraySlice<UInt8>? {
        for member in members where bytes[member.name].elementsEqual(name.utf8) {
            if case .string(let raw, _) = member.value, isGood(bytes[raw]) { return bytes[raw] }
        }
        return nil
    }
    let sid = first("sid", isMessageSID)
    require(scanned?.sid.description == sid?.text, "the SID is the first one of the top level")
    guard scanned != nil else { return }
    let status = first("status") { word in
        (1...32).contains(word.count)
            && word.allSatisfy { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }
    require(scanned?.status?.rawValue == status?.text, "so is the status")
    let to = first("to") { _ in true }
    require(scanned?.to.map { bytes[$0] } == to, "and so is the recipient")
}
