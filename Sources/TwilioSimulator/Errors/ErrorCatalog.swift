/// Twilio's messages and HTTP statuses for the codes that matter to otpd. Sources: Twilio's error dictionary, and
/// answers quoted in its SDKs' issues. Any other code gives a 400 whose message says that it is simulated.
enum ErrorCatalog {
    /// The refusal of a create with that code.
    static func refusal(_ code: Int, to: String, from: String) -> TwilioError {
        TwilioError(code: code, message: creationMessage(code, to: to, from: from), status: status(code))
    }

    static let authenticate = TwilioError(code: 20003, message: "Authenticate", status: 401)
    static let notActive = TwilioError(code: 20005, message: "Account not active", status: 403)
    static let tooManyRequests = TwilioError(code: 20429, message: "Too Many Requests", status: 429)
    static let internalError = TwilioError(code: 20500, message: "An internal server error has occurred", status: 500)

    static func notFound(_ path: String) -> TwilioError {
        TwilioError(code: 20404, message: "The requested resource \(path) was not found", status: 404)
    }

    static func methodNotAllowed(_ path: String) -> TwilioError {
        TwilioError(code: 20004, message: "Method not allowed on \(path)", status: 405)
    }

    static func invalidParameter(_ name: String, _ reason: String) -> TwilioError {
        TwilioError(code: 20001, message: "Invalid parameter \(name): \(reason)", status: 400)
    }

    private static func status(_ code: Int) -> Int {
        switch code {
        case 20003: 401
        case 20005, 20006, 20008, 20010, 20403, 10001, 70051, 90010: 403
        case 20404: 404
        case 20009: 409
        case 20429, 14107: 429
        case 20500: 500
        case 20503: 503
        default: 400
        }
    }

    private static func creationMessage(_ code: Int, to: String, from: String) -> String {
        switch code {
        case 20003: "Authenticate"
        case 20005: "Account not active"
        case 20006: "Access Denied"
        case 20008: "Resource not accessible with Test Account Credentials"
        case 20009: "Cannot delete this resource before it is complete"
        case 20429: "Too Many Requests"
        case 20500: "An internal server error has occurred"
        case 20503: "Service unavailable"
        case 20001: "Invalid parameter"
        case 12100: "Document parse failure"
        case 12200: "Schema validation warning"
        case 13510: "Say: Invalid loop value"
        case 13511: "Say: Invalid language value"
        case 13512: "Say: Invalid voice value"
        case 13520: "Say: Invalid text"
        case 13610: "Pause: Invalid length value"
        case 21201: "No 'To' number is specified"
        case 21205: "Url is not a valid URL"
        case 21210:
            "The source phone number provided, \(from), is not yet verified for your account. You may only make calls "
                + "from phone numbers that you've verified or purchased from Twilio."
        case 21213: "No 'From' number is specified"
        case 21214: "The phone number you are attempting to call, \(to), cannot be reached."
        case 21215: "Account not authorized to call \(to). Perhaps you need to enable some international permissions."
        case 21216: "Account not allowed to call \(to)"
        case 21217: "The phone number you are attempting to call, \(to), does not appear to be valid."
        case 21219: "The number \(to) is unverified. Trial accounts may only make calls to verified numbers."
        case 21220: "Call is not in-progress. Cannot redirect."
        case 21626: "Invalid status callback event"
        case 21211: "The 'To' number \(to) is not a valid phone number."
        case 21212: "The 'From' number \(from) is not a valid phone number, shortcode, or alphanumeric sender ID."
        case 21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: \(to)."
        case 21602: "Message body is required."
        case 21603: "A 'From' phone number is required."
        case 21604: "A 'To' phone number is required."
        case 21606:
            "The From phone number \(from) is not a valid, SMS-capable inbound phone number or short code "
                + "for your account."
        case 21608:
            "The number \(to) is unverified. Trial accounts cannot send messages to unverified numbers; verify \(to) "
                + "at twilio.com/user/account/phone-numbers/verified, or purchase a Twilio number to send messages "
                + "to unverified numbers"
        case 21609: "The 'StatusCallback' URL is not a valid URL."
        case 21610: "Attempt to send to unsubscribed recipient"
        case 21611: "This 'From' number has exceeded the maximum number of queued messages"
        case 21612:
            "Message cannot be sent with the current combination of 'To' (\(to)) and/or 'From' (\(from)) parameters"
        case 21614: "'To' number is not a valid mobile number: \(to)"
        case 21617: "The concatenated message body exceeds the 1600 character limit"
        case 21635: "'To' number cannot be a landline"
        case 21655: "The ContentSid is Invalid"
        case 21656: "The ContentVariables Parameter is invalid"
        case 21658: "Parameter exceeded character limit"
        case 21910: "Invalid From and To pair. From and To should be of the same channel"
        case 63007: "Twilio could not find a Channel with the specified From address"
        case 21701: "The Messaging Service does not exist"
        case 21703: "The Messaging Service does not have a phone number available to send a message"
        default: "Simulated error \(code)"
        }
    }

    /// The `error_message` of a delivery error.
    static func deliveryMessage(_ code: Int) -> String {
        switch code {
        case 30001: "Queue overflow"
        case 30002: "Account suspended"
        case 30003: "Unreachable destination handset"
        case 30004: "Message blocked"
        case 30005: "Unknown destination handset"
        case 30006: "Landline or unreachable carrier"
        case 30007: "Message filtered"
        case 30008: "Unknown error"
        case 30034: "US A2P 10DLC - Message from an Unregistered Number"
        case 30036: "Validity Period Expired"
        case 30410: "Provider Timeout Error"
        case 30450: "Message delivery blocked"
        case 63016: "Failed to send freeform message because you are outside the allowed window"
        case 63024: "Invalid message recipient"
        case 63028: "Number of parameters provided does not match the expected number of parameters"
        default: "Simulated delivery error \(code)"
        }
    }
}
