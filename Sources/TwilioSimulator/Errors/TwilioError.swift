/// A refusal in Twilio's words.
struct TwilioError: Error, Equatable {
    var code: Int
    var message: String
    var status: Int

    /// The two formats of Twilio's error bodies.
    enum Format: String {
        /// `{code, message, more_info, status}`, as in the 2010 API.
        case classic
        /// RFC 9457 problem details, as in Twilio's newer APIs.
        case problem
    }

    /// The answer with that body. `headers` are whole lines.
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
