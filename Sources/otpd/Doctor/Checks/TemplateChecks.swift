internal import OTP

/// Checks that every purpose has a text in every locale, that the templates are valid, and that each text is one
/// segment.
enum TemplateChecks {
    static let locales = Check("template-locales", "Texts: languages")
    static let segments = Check("template-segments", "Texts: segments")
    static let all = [locales, segments]

    /// Every purpose needs `en`, the default, and the locales of all other purposes.
    static func locales(_ rows: [TemplateSet.Row]) -> [Finding] {
        guard !rows.isEmpty else {
            return [
                locales.fail(
                    .configuration, "otp.templates is empty, so no code can be requested.",
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
                    "The purpose \(purpose) has no text in \(missing.joined(separator: ", ")), so requests for it are "
                        + "refused (OT004).",
                    "In psql as a member of otp_admin: INSERT INTO otp.templates (purpose, locale, body) VALUES "
                        + "('\(purpose)', '\(missing[0])', '… {code} …');"))
        }
        guard findings.isEmpty else { return findings }
        return [
            locales.pass("\(byPurpose.keys.sorted().joined(separator: ", ")): \(all.sorted().joined(separator: ", "))")
        ]
    }

    /// A code of the usual length, and the longest life of a code in minutes.
    private static let code = try? Code("000000")
    private static let minutes = 10

    /// Counts the segments of each text. The finding says why a text needs more than one.
    static func segments(_ rows: [TemplateSet.Row], appName: String?) -> [Finding] {
        guard let appName else { return [SettingsChecks.skip(segments, "OTPD_APP_NAME")] }
        guard let code else { return [] }
        var findings: [Finding] = []
        for row in rows {
            let name = "\(row.purpose), \(row.locale)"
            let change =
                "In psql as a member of otp_admin: UPDATE otp.templates SET body = '…' WHERE (purpose, locale) = "
                + "('\(row.purpose)', '\(row.locale)');"
            let template: Template
            do {
                template = try Template(row.text, webOTPHost: row.webOTPHost)
            } catch {
                findings.append(segments.fail(.configuration, "The text for \(name) is invalid: \(error)", change))
                continue
            }
            var bytes: [UInt8] = []
            template.render(into: &bytes, app: Array(appName.utf8), code: code, minutes: minutes)
            guard MessageLength.fits(utf8: bytes) else {
                findings.append(
                    segments.fail(
                        .configuration,
                        "The text for \(name) has \(MessageLength.units(utf8: bytes)) characters, but Twilio takes at most "
                            + "\(MessageLength.limit).",
                        change))
                continue
            }
            let count = SegmentCount(utf8: bytes)
            if count.segments > 1 {
                let blame = blame(String(decoding: bytes, as: UTF8.self), count, appName, row.webOTPHost)
                findings.append(
                    segments.warn(
                        "The text for \(name) needs \(count.segments) segments, and each of them is billed. \(blame)",
                        change))
            }
        }
        guard findings.isEmpty else { return findings }
        return [segments.pass("All \(rows.count) texts fit into one segment.")]
    }

    private static let fewStrangers = 5

    /// How much too long the text is, and why.
    private static func blame(_ text: String, _ count: SegmentCount, _ appName: String, _ host: String?) -> String {
        let room = count.encoding == .gsm7 ? 160 : 70
        var words = "It has \(count.units) characters, \(count.units - room) more than the \(room) of one segment."
        if count.encoding == .ucs2 {
            let strangers = SegmentCount.beyondGSM7(text)
            // A few such characters are mistakes that can be replaced. Many are the language itself.
            if strangers.count <= fewStrangers {
                let shown = strangers.map { "U+\(hexadecimal($0)) \(name($0))" }.joined(separator: ", ")
                let origin = strangers.allSatisfy(appName.unicodeScalars.contains) ? " from OTPD_APP_NAME" : ""
                words += " Only 70 fit instead of 160, because of \(shown)\(origin)."
            } else {
                words += " 160 fit if all letters are Latin."
            }
        }
        if let host {
            let line = SegmentCount("\n@\(host) #000000").units
            words += " The WebOTP line takes \(line) of them."
        }
        return words
    }

    private static func hexadecimal(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// The character's Unicode name, because terminals rarely show which of two similar characters it is.
    private static func name(_ scalar: Unicode.Scalar) -> String {
        (scalar.properties.name ?? scalar.properties.nameAlias ?? "").lowercased()
    }
}
