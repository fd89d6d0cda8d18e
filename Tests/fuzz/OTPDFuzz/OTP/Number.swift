@testable import OTP

/// Bytes as a stored number. An accepted value is E.164, is written back unchanged, and is never shown whole.
func fuzzNumber(_ bytes: [UInt8]) {
    let checked = Result { () throws(PhoneNumber.FormError) in try PhoneNumber(e164: bytes.span) }
    switch checked {
    case .success(let number):
        isSound(number)
        require(Array(number.e164.utf8) == bytes, "E.164 is refused or taken as it is")
        require(number.isWritten(bytes.span), "it is written so")
    case .failure(let refusal):
        let digits = bytes.filter { (0x30...0x39).contains($0) }
        require(digits.count < 4 || !refusal.description.contains(bytes.text), "a refusal does not repeat the number")
    }
    if let region = Region(bytes.text) {
        require(Region(region.code) == region, "a region reads as itself")
    }
}

private func isSound(_ number: PhoneNumber) {
    let digits = number.e164.utf8.dropFirst()
    require(number.e164.utf8.first == UInt8(ascii: "+"), "E.164 begins with a plus")
    require((7...15).contains(digits.count), "E.164 has at most fifteen digits")
    require(digits.allSatisfy { (0x30...0x39).contains($0) } && digits.first != UInt8(ascii: "0"), "they are digits")
    var appended: [UInt8] = []
    number.append(to: &appended)
    require(appended == Array(number.e164.utf8), "appended, it is the same")
    let shown = number.masked.utf8.filter { (0x30...0x39).contains($0) }.count
    require(shown <= 7 && digits.count - shown >= min(4, digits.count - 3), "the mask hides four digits or more")
    require("\(number)" == number.masked && String(reflecting: number) == number.masked, "it prints itself masked")
}
