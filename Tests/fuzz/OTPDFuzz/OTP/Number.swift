import CPhoneNumber

@testable import OTP

/// A phone number as typed (two bytes of region, then the text), and the same bytes as E.164: what is accepted is E.164,
/// the same to both readings, and never shown whole.
func fuzzNumber(_ bytes: [UInt8]) {
    let region = Region(bytes.prefix(2).text) ?? .saudiArabia
    let text = Array(bytes.dropFirst(2))

    let typed = Swift.Result { () throws(PhoneNumber.Refusal) in try PhoneNumber(parsing: text.span, region: region) }
    if case .success(let number) = typed {
        isSound(number)
        require((try? PhoneNumber(e164: number.e164)) == number, "what was typed is E.164 to the check too")
        for other in [region, .saudiArabia, Region("US")!, Region("DE")!] {
            require(
                (try? PhoneNumber(parsing: number.e164, region: other)) == number, "E.164 is the same in any region")
        }
        // Direction marks and spaces around a number are nothing.
        let marked = Array("\u{200E}\u{2068} ".utf8) + text + Array(" \u{2069}\u{FEFF}".utf8)
        if marked.count <= PhoneNumber.maximumInputLength {
            require((try? PhoneNumber(parsing: marked.span, region: region)) == number, "marks change nothing")
        }
    }
    require(
        typed == Swift.Result { () throws(PhoneNumber.Refusal) in try PhoneNumber(parsing: text.span, region: region) },
        "the same bytes are the same number")
    if text.count > PhoneNumber.maximumInputLength {
        require(typed == .failure(.tooLong), "what is too long is not looked at")
    }

    let checked = Swift.Result { () throws(PhoneNumber.Refusal) in try PhoneNumber(e164: text.span) }
    let asked = Swift.Result { () throws(PhoneNumber.Refusal) in
        try PhoneNumber(e164: text.span, askingLibraryAlone: true)
    }
    require(checked == asked, "the quick way says what libphonenumber says")
    if case .success(let number) = checked {
        isSound(number)
        require(Array(number.e164.utf8) == text, "E.164 is refused or taken as it is")
        require(typed == .success(number), "who types E.164 means that number")
    }
    for case .failure(let refusal) in [typed, checked] {
        require(refusal != .checkFailed, "libphonenumber does not throw")
        let digits = text.filter { (0x30...0x39).contains($0) }
        require(digits.count < 4 || !refusal.description.contains(text.text), "a refusal does not repeat the number")
    }
    writesOnlyWhatIsGood(text, region)
}

private func isSound(_ number: PhoneNumber) {
    let digits = number.e164.utf8.dropFirst()
    require(number.e164.utf8.first == UInt8(ascii: "+"), "E.164 begins with a plus")
    require((3...15).contains(digits.count), "E.164 has at most fifteen digits")
    require(digits.allSatisfy { (0x30...0x39).contains($0) } && digits.first != UInt8(ascii: "0"), "they are digits")
    require(number.type.canReceiveText, "a text can reach it")
    require(number.region == .nonGeographical || Region(number.region.code) == number.region, "it has a region")
    var appended: [UInt8] = []
    number.append(to: &appended)
    require(appended == Array(number.e164.utf8), "appended, it is the same")
    let shown = number.masked.utf8.filter { (0x30...0x39).contains($0) }.count
    require(shown <= 7 && digits.count - shown >= 4, "the mask hides four digits or more")
    require("\(number)" == number.masked && String(reflecting: number) == number.masked, "it prints itself masked")
}

/// The C face: `out` is written for a number alone, and its region ends in a zero.
private func writesOnlyWhatIsGood(_ text: [UInt8], _ region: Region) {
    func untouched(_ number: otpd_phone_number) -> Bool {
        number.digits == .max && number.type == .unknown && number.region.0 == 0x55 && number.region.3 == 0x55
    }
    for isParsed in [true, false] {
        var number = otpd_phone_number(digits: .max, type: .unknown, region: (0x55, 0x55, 0x55, 0x55))
        let status =
            isParsed
            ? otpd_phone_parse(text, text.count, region.code, &number)
            : otpd_phone_check_e164(text, text.count, false, &number)
        switch status {
        case .ok, .noSms:
            require(number.region.3 == 0 && number.region.0 != 0, "the region is a string")
            require((1...999_999_999_999_999).contains(number.digits), "the digits are fifteen at most")
        case .empty, .notANumber, .letters, .extension, .unknownCountry, .tooShort, .tooLong, .invalid, .notE164,
            .internal:
            require(untouched(number), "nothing is written for what is no number")
        }
    }
}
