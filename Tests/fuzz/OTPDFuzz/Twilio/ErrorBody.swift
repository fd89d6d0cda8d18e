import OTP

@testable import Twilio

/// The body of an error. The result is bounded, and its code agrees with the JSON.
func fuzzErrorBody(_ bytes: [UInt8]) {
    let body = ErrorBody(bytes.span)
    if let body {
        require(body.message.count <= ErrorBody.maximumMessage, "the message is bounded")
        require(body.code >= ErrorBody.leastCode, "the code is one of Twilio's")
    }
    if let members = JSON(bytes)?.members, let body {
        switch unique("code", members, bytes) {
        case .number(let raw)?:
            if let code = Int(bytes[raw].text) { require(body.code == code, "the code is the JSON's") }
        case .string(let raw, false)?:
            require(body.code == Int(bytes[raw].text), "a code in a string is its number")
        default: break
        }
        if case .string(let raw, false)? = unique("message", members, bytes) {
            require(body.message == String(bytes[raw].text.prefix(300)), "the message is the JSON's")
        }
    }
    for status in [400, 401, 404, 408, 410, 499] {
        switch Outcome.classify(httpStatus: status, retryAfter: nil, body: bytes.span) {
        case .refused(let refused):
            require(refused.httpStatus == status && refused.code == body?.code, "the refusal is Twilio's")
        case .unknown:
            require((status == 408 || status == 499) && body == nil, "a refusal of Twilio's is clear")
        case .notSent(.blocked(let responder), nil):
            require(body == nil && responder.httpStatus == status, "a refusal of something else's is not Twilio's")
        default: require(false, "\(status) is a refusal, or unknown, or of something else")
        }
    }
}
