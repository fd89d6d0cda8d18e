internal import OTP

/// The texts: there in every language, well-formed, one segment each.
enum TemplateChecks {
    static let locales = Check("template-locales", "Texts: languages")
    static let segments = Check("template-segments", "Texts: segments")
    static let all = [locales, segments]

    /// Every purpose has `en`, the default, and the languages that others have.
    static func locales(_ rows: [TemplateSet.Row]) -> [Finding] {
        guard !rows.isEmpty else {
            return [
                locales.fail(
                    .configuration, "otp.templates is empty: no code can be requested",
                    "In psql as a member of otp_admin: INSERT INTO otp.templates (purpose, locale, body) VALUES "
                        + "('phone_verification', 'en', 'Your {app} verification code is: {code}.');")
            ]
        }
        let all = Set(rows.map(\.locale)).union(["en"])
        var byPurpose: [String: Set<String>] = [:]
        for row in rows { byPurpose[row.purpose, default: []].insert(row.locale) }
        var findings: [Finding] = []
        for (purpose, has) in byPurpose.sorted(by: { $0.key < $1.key }) {
            let missing = all.subtracting(has).sorted()
            guard !missing.isEmpty else { continue }
            findings.append(
                locales.warn(
                    "\(purpose) has no text in \(missing.joined(separator: ", ")): a request for it is refused (OT004)",
                    "In psql as a member of otp_admin: INSERT INTO otp.templates (purpose, locale, body) VALUES "
                        + "('\(purpose)', '\(missing[0])', '... {code} ...');"))
        }
        guard findings.isEmpty else { return findings }
        return [
            locales.pass("\(byPurpose.keys.sorted().joined(separator: ", ")): \(all.sorted().joined(separator: ", "))")
        ]
    }

    /// The digits of a code of the usual length, and the most minutes that one lives.
    private static let code = try? Code("000000")
    private static let minutes = 10

    /// Each text as it would be sent: how many segments, and what is to blame for more than one.
    static func segments(_ rows: [TemplateSet.Row], appName: String?) -> [Finding] {
        guard let appName else { return [segments.skip("OTPD_APP_NAME can't be used, see the settings above")] }
        guard let code else { return [] }
        var findings: [Finding] = []
        for row in rows {
            let name = "\(row.purpose), \(row.locale)"
            let change =
                "In psql as a member of otp_admin: UPDATE otp.templates SET body = '...' WHERE (purpose, locale) = "
                + "('\(row.purpose)', '\(row.locale)');"
            let template: Template
            do {
                template = try Template(row.text, webOTPHost: row.webOTPHost)
            } catch {
                findings.append(segments.fail(.configuration, "\(name): \(error)", change))
                continue
            }
            var bytes: [UInt8] = []
            template.render(into: &bytes, app: Array(appName.utf8), code: code, minutes: minutes)
            guard MessageLength.fits(utf8: bytes) else {
                findings.append(
                    segments.fail(
                        .configuration,
                        "\(name): \(MessageLength.units(utf8: bytes)) characters, and Twilio takes \(MessageLength.limit)",
                        change))
                continue
            }
            let count = SegmentCount(utf8: bytes)
            if count.segments > 1 {
                let blame = blame(String(decoding: bytes, as: UTF8.self), count, appName, row.webOTPHost)
                findings.append(
                    segments.warn("\(name): \(count.segments) segments, each is paid for: \(blame)", change))
            }
        }
        guard findings.isEmpty else { return findings }
        return [segments.pass("all \(rows.count) fit into one")]
    }

    private static let fewStrangers = 5

    /// How much too long it is, and what makes it so.
    private static func blame(_ text: String, _ count: SegmentCount, _ appName: String, _ host: String?) -> String {
        let room = count.encoding == .gsm7 ? 160 : 70
        var words = "\(count.units) of \(room) characters, \(count.units - room) too many"
        if count.encoding == .ucs2 {
            let strangers = SegmentCount.beyondGSM7(text)
            // A few are slips that can be typed otherwise; many are the language.
            if strangers.count <= fewStrangers {
                let shown = strangers.map { "U+\(hexadecimal($0)) \(name($0))" }.joined(separator: ", ")
                words += "; only 70 fit and not 160 because of \(shown)"
                if strangers.allSatisfy(appName.unicodeScalars.contains) { words += ", from OTPD_APP_NAME" }
            } else {
                words += "; 160 fit of Latin letters alone"
            }
        }
        if let host {
            let line = SegmentCount("\n@\(host) #000000").units
            words += "; the WebOTP line takes \(line) of them"
        }
        return words
    }

    private static func hexadecimal(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// What the character is called; terminals rarely show which of two alike characters one is.
    private static func name(_ scalar: Unicode.Scalar) -> String {
        (scalar.properties.name ?? scalar.properties.nameAlias ?? "").lowercased()
    }
}
