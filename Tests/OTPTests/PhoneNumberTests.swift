import Testing

@testable import OTP

struct PhoneNumberTests {
    /// CONTRACT 6's spellings, and their like.
    @Test(arguments: [
        "0501234567", "501234567", "966501234567", "+966501234567", "00966501234567", "+966 (0)50 123-4567",
        "٠٥٠١٢٣٤٥٦٧", "+٩٦٦٥٠١٢٣٤٥٦٧", "۰۵۰۱۲۳۴۵۶۷", "０５０１２３４５６７", "०५०१२३४५६७", "＋966501234567",
        " 050 123 4567 ", "050-123-4567", "050.123.4567", "(050) 123/4567", "050\u{A0}123\u{202F}4567",
        "\u{200E}+966 50 123 4567\u{200F}", "\u{202A}+966501234567\u{202C}", "\u{2066}0501234567\u{2069}",
        "05\u{200B}01234567", "\u{FEFF}0501234567", "050\u{2011}123\u{2013}4567", "050\t123\n4567",
        "+966\u{200F}50\u{061C}1234567", "[050] 1234567", "+966-0501234567",
    ])
    func spellingsOfOneNumber(_ typed: String) throws {
        let number = try PhoneNumber(parsing: typed, region: .saudiArabia)
        #expect(number.e164 == "+966501234567")
        #expect(number.type == .mobile)
        #expect(number.region == .saudiArabia)
    }

    @Test(arguments: [
        ("", PhoneNumber.Refusal.empty), ("   ", .empty), ("\u{200E}\u{202C}", .empty),
        ("050123456a", .letters), ("hello", .letters), ("call 0501234567", .letters), ("800FLOWERS", .letters),
        ("tel:+966501234567", .letters), ("٠٥٠ رقم", .letters), ("050１23456七", .letters),
        ("0501234567 ext 5", .hasExtension), ("0501234567x5", .hasExtension), ("0501234567;ext=12", .hasExtension),
        ("0501234567 #5", .hasExtension), ("0501234567,,5", .hasExtension),
        ("05012345", .tooShort), ("+96650", .tooShort), ("5", .tooShort), ("+966", .tooShort),
        ("05012345678", .invalid), ("+966501234567890", .tooLong), ("0501234567890123456789", .tooLong),
        ("0112345678", .cannotReceiveText), ("+966112345678", .cannotReceiveText), ("+4989123456", .cannotReceiveText),
        ("8001234567", .cannotReceiveText),
        ("+999501234567", .unknownCountry), ("+0501234567", .unknownCountry), ("+21012345678", .unknownCountry),
        ("0601234567", .invalid), ("+12125550123456", .tooLong), ("+11234567890", .invalid),
        ("+", .notANumber), ("----", .notANumber), ("#5", .notANumber), ("*100#", .notANumber),
        ("050\u{0}1234567", .notANumber), ("0501234567'; DROP TABLE", .letters), ("0501234567'--", .notANumber),
        ("050\u{7}1234567", .notANumber),
        ("0501234567😀", .notANumber), ("$0501234567", .notANumber),
    ])
    func refusals(_ typed: String, _ refusal: PhoneNumber.Refusal) {
        #expect(throws: refusal) { try PhoneNumber(parsing: typed, region: .saudiArabia) }
    }

    @Test func bytesThatAreNotUTF8() {
        for bytes: [UInt8] in [[0xFF], [0x30, 0xC0, 0x80], [0xED, 0xA0, 0x80], [0xD9], [0xF5, 0x80, 0x80, 0x80]] {
            #expect(throws: PhoneNumber.Refusal.notANumber) {
                try PhoneNumber(parsing: bytes.span, region: .saudiArabia)
            }
        }
    }

    @Test func tenMegabytesCostNothing() {
        let long = String(repeating: "5", count: 10_000_000)
        let took = ContinuousClock().measure {
            for _ in 0..<1_000 {
                #expect(throws: PhoneNumber.Refusal.tooLong) { try PhoneNumber(parsing: long, region: .saudiArabia) }
                #expect(throws: PhoneNumber.Refusal.tooLong) { try PhoneNumber(e164: long) }
            }
        }
        // A thousand looks at ten megabytes each would be ten thousand million bytes: seconds.
        #expect(took < .seconds(2))
    }

    /// With one prefix stripped it is valid, and with the next one it is another number: SQL refuses it too.
    @Test func aNumberThatReadsAsAnotherOneIsRefused() throws {
        let mexico = try #require(Region("MX"))
        #expect(throws: PhoneNumber.Refusal.invalid) { try PhoneNumber(parsing: "+52115519965678", region: mexico) }
        #expect(try PhoneNumber(parsing: "+5215519965678", region: mexico).e164 == "+525519965678")
    }

    @Test func aNumberWithoutACountryNeedsARegionThatExists() throws {
        let nowhere = try #require(Region("QQ"))
        #expect(throws: PhoneNumber.Refusal.unknownCountry) { try PhoneNumber(parsing: "0501234567", region: nowhere) }
        #expect(try PhoneNumber(parsing: "+966501234567", region: nowhere).region == .saudiArabia)
        let lower = try #require(Region("sa"))
        #expect(try PhoneNumber(parsing: "0501234567", region: lower).e164 == "+966501234567")
        for bad in ["", "S", "SAU", "ف", "S1", "12"] { #expect(Region(bad) == nil) }
    }

    @Test(
        arguments: [
            ("+966501234567", nil), ("", .empty), ("966501234567", .notE164), ("+", .notE164),
            ("+0501234567", .notE164),
            ("+9660501234567", .invalid), ("+5218115950597", .notE164), ("+96650123456", .tooShort),
            ("+966 501234567", .notE164),
            ("+٩٦٦٥٠١٢٣٤٥٦٧", .notE164), ("+1234567890123456", .tooLong), ("+9", .unknownCountry), ("+966", .tooShort),
            ("+999501234567", .unknownCountry), ("+966112345678", .cannotReceiveText), ("+966601234567", .invalid),
            // Twilio's magic numbers pass: it is Twilio that has to refuse them.
            ("+15005550001", nil), ("+15005550006", nil), ("+15005550009", nil),
        ] as [(String, PhoneNumber.Refusal?)])
    func e164IsVetoedNeverChanged(_ text: String, _ refusal: PhoneNumber.Refusal?) throws {
        if let refusal {
            #expect(throws: refusal) { try PhoneNumber(e164: text) }
        } else {
            #expect(try PhoneNumber(e164: text).e164 == text)
        }
    }

    /// Every region's examples of every type: the parser and the fast check agree, and neither changes the number.
    @Test func everyRegionsExamples() throws {
        let regions = PhoneExamples.regions
        #expect(regions.count > 240)
        var seen = 0
        for region in regions {
            for type in NumberType.allCases {
                guard let e164 = PhoneExamples.e164(region: region, type: type), e164.utf8.count <= 16 else { continue }
                seen += 1
                let parsed = Result { try PhoneNumber(parsing: e164, region: .saudiArabia) }
                let checked = Result { try PhoneNumber(e164: e164) }
                switch (parsed, checked) {
                case (.success(let parsed), .success(let checked)):
                    #expect(parsed == checked, "\(region) \(type)")
                    #expect(parsed.e164 == e164, "\(region) \(type)")
                    #expect(parsed.type.canReceiveText)
                    var bytes: [UInt8] = []
                    checked.append(to: &bytes)
                    #expect(bytes == Array(e164.utf8))
                case (.failure(let parsed), .failure(let checked)):
                    #expect(parsed as? PhoneNumber.Refusal == checked as? PhoneNumber.Refusal, "\(region) \(type)")
                case (.success, .failure), (.failure, .success):
                    Issue.record("\(region) \(type): \(parsed) but \(checked)")
                }
            }
        }
        #expect(seen > 1_000)
    }

    /// Every region's mobile example in several spellings comes out as the same E.164.
    @Test func everyRegionsSpellings() throws {
        var random = Seeded(6)
        var seen = 0
        for region in PhoneExamples.regions {
            guard let home = Region(region), let e164 = PhoneExamples.e164(region: region, type: .mobile),
                (try? PhoneNumber(e164: e164)) != nil
            else { continue }
            seen += 1
            let digits = e164.dropFirst()
            var spaced = "+"
            var arabic = "\u{202A}+"
            for digit in digits {
                spaced.append(digit)
                if Bool.random(using: &random) {
                    spaced.append([" ", "-", ".", "\u{200E}"].randomElement(using: &random)!)
                }
                arabic.unicodeScalars.append(Unicode.Scalar(0x0660 + UInt32(digit.wholeNumberValue!))!)
            }
            arabic += "\u{202C}"
            for spelling in [e164, spaced, arabic, " " + e164 + " "] {
                let number = try PhoneNumber(parsing: spelling, region: home)
                #expect(number.e164 == e164, "\(region): \(spelling)")
            }
        }
        #expect(seen > 230)
    }

    /// Random digits: whatever the fast check lets through, the full parser leaves as it is.
    @Test func theFastCheckIsNoLaxerThanTheParser() throws {
        var random = Seeded(7)
        var good = 0
        for _ in 0..<20_000 {
            let prefix = ["", "966", "1", "44", "39", "54", "52", "55", "7", "49", "225"].randomElement(using: &random)!
            let length = Int.random(in: 1...12, using: &random)
            let text = "+" + prefix + (0..<length).map { _ in String(Int.random(in: 0...9, using: &random)) }.joined()
            guard let checked = try? PhoneNumber(e164: text) else { continue }
            good += 1
            #expect(checked.e164 == text)
            #expect((try? PhoneNumber(parsing: text, region: .saudiArabia)) == checked, "\(text)")
        }
        #expect(good > 100)
    }

    /// The quick way, which reads libphonenumber's metadata itself, says what libphonenumber says: of examples of every
    /// region and type with digits changed, added and taken away, mostly near their beginning, where plans differ.
    @Test func theQuickCheckIsLibphonenumbers() {
        var random = Seeded(8)
        var (good, bad) = (0, 0)
        for region in PhoneExamples.regions {
            for type in NumberType.allCases {
                guard let example = PhoneExamples.e164(region: region, type: type) else { continue }
                for _ in 0..<40 {
                    var text = Array(example.utf8)
                    for _ in 0..<Int.random(in: 0...3, using: &random) {
                        let end = Bool.random(using: &random) ? text.count : min(text.count, 7)
                        text[Int.random(in: 1..<end, using: &random)] = UInt8.random(in: 0x30...0x39, using: &random)
                    }
                    switch Int.random(in: 0..<10, using: &random) {
                    case 0: text.removeLast()
                    case 1: text.append(UInt8.random(in: 0x30...0x39, using: &random))
                    default: break
                    }
                    let quick = Result { () throws(PhoneNumber.Refusal) in try PhoneNumber(e164: text.span) }
                    let asked = Result { () throws(PhoneNumber.Refusal) in
                        try PhoneNumber(e164: text.span, askingLibraryAlone: true)
                    }
                    #expect(quick == asked, "\(String(decoding: text, as: UTF8.self)): \(quick), not \(asked)")
                    if case .success = asked { good += 1 } else { bad += 1 }
                }
            }
        }
        #expect(good > 5_000 && bad > 5_000)
    }

    @Test func everyRefusalSaysWhatToDo() {
        for refusal in PhoneNumber.Refusal.allCases {
            #expect(!refusal.explanation.isEmpty && !refusal.remedy.isEmpty)
            #expect(refusal.description.contains(refusal.remedy))
        }
    }
}
