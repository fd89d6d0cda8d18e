/// A refusal, as Twilio words it.
struct TwilioError: Error, Equatable {
    var code: Int
    var message: String
    var status: Int

    /// Which of Twilio's two error bodies to print.
    enum Format: String {
        /// `{code, message, more_info, status}`, what the 2010 API prints today.
        case classic
        /// RFC 9457 problem details, what Twilio's newer APIs print.
        case problem
    }

    /// The answer with that body; `headers` are whole lines.
    func answer(_ format: Format, headers: String = "") -> Answer {
        var body: [UInt8] = []
        switch format {
        case .classic:
            body.append(text: "{\"code\": \(code), \"message\": ")
            JSON.append(string: message, to: &body)
            body.append(text: ", \"more_info\": \"https://www.twilio.com/docs/errors/\(code)\", \"status\": \(status)}")
        case .problem:
            body.append(text: "{\"type\": \"https://www.twilio.com/docs/api/errors/\(code)\", \"title\": ")
            JSON.append(string: message, to: &body)
            body.append(text: ", \"status\": \(status), \"code\": \(code)}")
        }
        let challenge = status == 401 ? "WWW-Authenticate: Basic realm=\"Twilio API\"\r\n" : ""
        return Answer(
            status: status, content: format == .classic ? .json : .problem, headers: headers + challenge, body: body)
    }
}
