@testable import Twilio

/// An account, and a list of numbers or short codes: an accepted value agrees with the JSON, and no token is kept.
func fuzzAccount(_ bytes: [UInt8]) {
    let members = JSON(bytes)?.members
    if let account = AccountResource(json: bytes.span), let members {
        if case .string(let raw, false)? = unique("status", members, bytes) {
            require(bytes[raw].elementsEqual(account.status.utf8), "the status is the JSON's")
        }
        if case .string(let raw, false)? = unique("type", members, bytes) {
            require(account.type.map { bytes[raw].elementsEqual($0.utf8) } == true, "the type is the JSON's")
        }
    }
    guard let list = SenderResource.list(json: bytes.span), let members else { return }
    guard case .array(let elements)? = unique("incoming_phone_numbers", members, bytes) else { return }
    require(elements.count == list.count, "a list overlooks no number")
    for (element, sender) in zip(elements, list) {
        guard let members = element.members else { continue }
        if case .string(let raw, false)? = unique("phone_number", members, bytes) {
            require(bytes[raw].elementsEqual(sender.number.utf8), "the number is the JSON's")
        }
    }
}
