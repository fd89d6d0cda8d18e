import HTTP
import Mail

/// What carries a worker's requests: Twilio's API over HTTP, or a mail server.
enum Transport: Sendable {
    case twilio(HTTPClient, TwilioReader, Endpoints)
    case mail(MailClient, MailTransport)

    /// Where messages and calls are created, with the credentials in force.
    struct Endpoints: Sendable {
        let messages: HTTP.Endpoint
        let calls: HTTP.Endpoint
    }

    /// In messages for people.
    var name: String {
        switch self {
        case .twilio: "Twilio"
        case .mail: "the mail server"
        }
    }

    /// Ends all requests, and closes the connections.
    func close() async {
        switch self {
        case .twilio(let http, _, _): await http.close()
        case .mail(let client, _): await client.close()
        }
    }
}
