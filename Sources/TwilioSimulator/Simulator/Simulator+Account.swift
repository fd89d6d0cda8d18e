/// The readable part of the account: itself, its numbers and its short codes.
extension Simulator {
    /// `GET …/Accounts/AC….json`. Twilio's answer holds the auth token; the simulator's does not.
    func account(at now: Microseconds) -> Answer {
        let sid = settings.accountSID
        let date = Dates.rfc2822(seconds: now / 1_000_000)
        let body = """
            {"auth_token": null, "date_created": "\(date)", "date_updated": "\(date)", \
            "friendly_name": "Simulator", "owner_account_sid": "\(sid)", "sid": "\(sid)", \
            "status": "\(faults.accountStatus.rawValue)", "subresource_uris": {"calls": "\(callsPath)", "messages": "\(messagesPath)"}, \
            "type": "\(faults.accountType.rawValue)", "uri": "\(accountPath)"}
            """
        return Answer(status: 200, body: Array(body.utf8))
    }

    /// `GET …/IncomingPhoneNumbers.json?PhoneNumber=`. The account has every number that it can send from, and one for
    /// calls alone. Without the parameter, the answer is the number that a messaging service picks.
    func incomingNumbers(_ request: Request, at now: Microseconds) -> Answer {
        let form = Form(request.query.utf8)
        let number = form["PhoneNumber"].map { $0.isEmpty ? Self.ownNumber : $0 } ?? Self.ownNumber
        let sid = settings.accountSID
        var entries: [[UInt8]] = []
        if let sendsSMS = Self.sendsSMS(number) {
            let text = String(utf8: number)
            let numberSID = "PN" + String(repeating: "0", count: 32 - (number.count - 1)) + text.dropFirst()
            let date = Dates.rfc2822(seconds: now / 1_000_000)
            let uri = numbersPath.dropLast(5) + "/\(numberSID).json"
            let entry = """
                {"account_sid": "\(sid)", "address_requirements": "none", "address_sid": null, "api_version": "2010-04-01", \
                "beta": false, "bundle_sid": null, \
                "capabilities": {"fax": false, "mms": false, "sms": \(sendsSMS), "voice": true}, \
                "date_created": "\(date)", "date_updated": "\(date)", "emergency_address_sid": null, \
                "emergency_status": "Inactive", "friendly_name": "\(text)", "identity_sid": null, "origin": "twilio", \
                "phone_number": "\(text)", "sid": "\(numberSID)", "sms_application_sid": "", \
                "sms_fallback_method": "POST", "sms_fallback_url": "", "sms_method": "POST", "sms_url": "", \
                "status": "in-use", "status_callback": "", "status_callback_method": "POST", "trunk_sid": null, \
                "uri": "\(uri)", "voice_application_sid": null, "voice_caller_id_lookup": false, \
                "voice_fallback_method": "POST", "voice_fallback_url": null, "voice_method": "POST", "voice_url": null}
                """
            entries.append(Array(entry.utf8))
        }
        return list("incoming_phone_numbers", entries, request)
    }

    /// `GET …/SMS/ShortCodes.json?ShortCode=`. The account has any short code that is asked for, and none without the
    /// parameter.
    func shortCodes(_ request: Request, at now: Microseconds) -> Answer {
        let code = Form(request.query.utf8)["ShortCode"] ?? []
        var entries: [[UInt8]] = []
        if (3...8).contains(code.count), code.allSatisfy({ (0x30...0x39).contains($0) }) {
            let text = String(utf8: code)
            let codeSID = "SC" + String(repeating: "0", count: 32 - code.count) + text
            let date = Dates.rfc2822(seconds: now / 1_000_000)
            let entry = """
                {"account_sid": "\(settings.accountSID)", "api_version": "2010-04-01", "date_created": "\(date)", \
                "date_updated": "\(date)", "friendly_name": "\(text)", "short_code": "\(text)", "sid": "\(codeSID)", \
                "sms_fallback_method": "POST", "sms_fallback_url": null, "sms_method": "POST", "sms_url": null, \
                "uri": "\(shortCodesPath.dropLast(5))/\(codeSID).json"}
                """
            entries.append(Array(entry.utf8))
        }
        return list("short_codes", entries, request)
    }

    private static let ownNumber = Array("+15005550006".utf8)

    /// Whether the account has a number and can send SMS from it, in agreement with the refusals of creates.
    private static func sendsSMS(_ number: [UInt8]) -> Bool? {
        guard (8...16).contains(number.count), number[0] == UInt8(ascii: "+"),
            number.dropFirst().allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return switch MagicNumbers.refusal(from: number) {
        case 21212: nil
        case 21606: false
        default: true
        }
    }

    /// One page, in the list format of Twilio's 2010 API.
    private func list(_ name: String, _ entries: [[UInt8]], _ request: Request) -> Answer {
        var body = Array("{\"end\": \(max(entries.count - 1, 0)), \"first_page_uri\": ".utf8)
        let uri = request.path + (request.query.isEmpty ? "" : "?\(request.query)")
        JSON.append(string: uri, to: &body)
        body.append(text: ", \"\(name)\": [")
        for (index, entry) in entries.enumerated() {
            if index > 0 { body.append(text: ", ") }
            body.append(contentsOf: entry)
        }
        body.append(text: "], \"next_page_uri\": null, \"page\": 0, \"page_size\": 50, \"previous_page_uri\": null, ")
        body.append(text: "\"start\": 0, \"uri\": ")
        JSON.append(string: uri, to: &body)
        body.append(text: "}")
        return Answer(status: 200, body: body)
    }
}
