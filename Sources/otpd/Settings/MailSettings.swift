internal import Mail
internal import OTP
internal import Worker

/// The mail server by which codes go as e-mail, and the sender of these mails.
struct MailSettings: Equatable, Sendable {
    let url: String
    /// Empty without a login.
    let username: Secret
    let password: Secret
    let from: MailSender

    /// How many mails go at a time. Many providers allow ten connections.
    static let atATime = 8

    /// The server and the sender, as a worker takes them.
    func transport() throws(MailError) -> MailTransport {
        MailTransport(server: try MailServer(url: url, username: username, password: password), sender: from)
    }

    /// Reads the settings. Nil if no mail server is set, or if a problem was reported.
    static func read(_ reader: inout SettingsReader) -> MailSettings? {
        let url = reader.find(.smtpURL)
        let (username, password, from) = (
            reader.find(.smtpUsername), reader.find(.smtpPassword), reader.find(.mailFrom)
        )
        guard !url.isAbsent else {
            for (found, name) in [
                (username, SettingName.smtpUsername), (password, .smtpPassword), (from, .mailFrom),
            ] where !found.isAbsent {
                reader.report(name, "is set, but OTPD_SMTP_URL is not. Set OTPD_SMTP_URL to send e-mail, or unset it.")
            }
            return nil
        }
        if from.isAbsent { reader.missing(.mailFrom) }
        switch (username.isAbsent, password.isAbsent) {
        case (false, true): reader.missing(.smtpPassword)
        case (true, false): reader.missing(.smtpUsername)
        case (true, true), (false, false): break
        }
        let name = username.value.map { Secret($0) } ?? Secret("")
        let secret = password.value.map { Secret($0) } ?? Secret("")
        let server = url.value.flatMap { text in
            reader.parse(text, .smtpURL) { (text: String) throws(InvalidValue) -> String in
                do throws(MailError) {
                    _ = try MailServer(url: text)
                } catch {
                    guard case .invalidURL(let why) = error.reason else {
                        throw InvalidValue("cannot be used: \(error)")
                    }
                    throw InvalidValue("is no address of a mail server: \(why). Set one like smtps://mail.example.com.")
                }
                return text
            }
        }
        let sender = from.value.flatMap { text in
            reader.parse(text, .mailFrom) { (text: String) throws(InvalidValue) -> MailSender in
                do throws(MailAddress.FormError) {
                    return try MailSender(text)
                } catch {
                    throw InvalidValue("cannot be used: \(error). Set it to one like Example <codes@example.com>.")
                }
            }
        }
        guard let server, let sender, username.isAbsent == password.isAbsent else { return nil }
        return MailSettings(url: server, username: name, password: secret, from: sender)
    }
}
