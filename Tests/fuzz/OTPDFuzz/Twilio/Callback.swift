import CCrypto
import FoundationEssentials
import OTP

@testable import HTTP
@testable import Twilio

/// A callback's signature over URL and form: three lines of token, URL and form, and a JSON body behind them.
func fuzzCallback(_ bytes: [UInt8]) {
    let parts = bytes.parts(4)
    let token = parts[0].text
    let url = parts[1].text
    let body = parts[3]
    let parameters = formFields(parts[2]).map { (name: $0.name.text, value: $0.value.text) }
    let signature = Signature(authToken: Secret(token))
    let made = signature.make(url: url, parameters: parameters)

    require(made == expectedSignature(token, url, parameters), "the signature is what the rule says")
    require(signature.isValid(made, url: url, parameters: parameters), "what we make is valid")
    require(signature.isValid(made, url: url, parameters: parameters.reversed()), "the order is all one")
    require(signature.isValid(made, url: url, parameters: parameters + parameters), "repetition is all one")
    for position in made.utf8.indices {
        var other = Array(made.utf8)
        let index = made.utf8.distance(from: made.utf8.startIndex, to: position)
        other[index] ^= 1
        require(!signature.isValid(other.text, url: url, parameters: parameters), "each character counts")
    }
    require(!signature.isValid("", url: url, parameters: parameters), "none is not valid")
    require(!signature.isValid(made + "=", url: url, parameters: parameters), "longer is not valid")
    require(!signature.isValid(made, url: url + "x", parameters: parameters + [("y", "z")]), "the URL counts")
    require(
        !signature.isValid(made, url: url, parameters: parameters + [("no such", "name")])
            || parameters.contains { $0.name == "no such" }, "each field counts")

    // With or without the default port, libcurl connects to the same place.
    let forms = PublicURL.portForms(url)
    require(forms[0] == url && forms.count <= 2, "the URL as given comes first")
    for form in forms {
        require(
            signature.isValid(signature.make(url: form, parameters: parameters), url: url, parameters: parameters),
            "both forms are valid")
        if let given = try? URLParts(url), let other = try? URLParts(form) {
            require(withoutDefaultPort(given.origin) == withoutDefaultPort(other.origin), "both forms are one place")
        }
    }

    fuzzReader(parts[2], token, url)

    let hash = hexadecimal(sha256(body))
    let joint = url.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
    let json = "\(url)\(joint)bodySHA256=\(hash)"
    let signed = signature.make(url: json, parameters: [])
    let isPlain = !url.utf8.contains(UInt8(ascii: "#")) && !url.contains("bodySHA256")
    // If a `?` merges with the character after it, Swift's strings see no query, and no reader accepts the URL.
    if isPlain, url.utf8.allSatisfy({ $0 < 0x80 }) {
        require(signature.isValid(signed, url: json, json: body.span), "a body with its hash is valid")
        require(!signature.isValid(signed, url: json, json: (body + [0]).span), "the body counts")
    }
}

/// The receiver reads the fields by the rule, and only signed requests.
private func fuzzReader(_ form: [UInt8], _ token: String, _ url: String) {
    let expected = formFields(form).map { [Array($0.name.text.utf8), Array($0.value.text.utf8)] }
    let fields = FormFields.decode(form.span)
    require(
        fields.map { $0.map { [Array($0.name.utf8), Array($0.value.utf8)] } }
            == (expected.count > FormFields.most ? nil : expected), "fields are decoded by the rule")
    guard let fields else { return }
    let mark = url.utf8.firstIndex(of: UInt8(ascii: "?")) ?? url.endIndex
    let reader = CallbackReader(publicURL: String(url[..<mark]), authToken: Secret(token))
    let signature = Signature(authToken: Secret(token)).make(url: url, parameters: fields)
    func refusal(_ format: CallbackReader.Format, _ signature: String) -> CallbackReader.Rejection? {
        do throws(CallbackReader.Rejection) {
            let receipt = try reader.read(
                form.span, as: format, query: String(url[mark...]), signature: signature)
            require(fields.contains { $0.value == receipt.sid.description }, "the message is the form's")
            return nil
        } catch {
            return error
        }
    }
    require(refusal(.form, signature) != .signature, "what is signed is read")
    require(
        refusal(.form, String(signature.reversed())) == .signature || signature == String(signature.reversed()),
        "what is not signed is not")
    require(refusal(.json, "") == .signature, "nor is JSON")
}

private func expectedSignature(_ token: String, _ url: String, _ parameters: [(name: String, value: String)]) -> String
{
    var seen: Set<[[UInt8]]> = []
    for field in parameters { seen.insert([Array(field.name.utf8), Array(field.value.utf8)]) }
    let sorted = seen.sorted {
        $0[0] == $1[0] ? $0[1].lexicographicallyPrecedes($1[1]) : $0[0].lexicographicallyPrecedes($1[0])
    }
    let message = Array(url.utf8) + sorted.flatMap { $0[0] + $0[1] }
    let key = Array(token.utf8)
    var code = [UInt8](repeating: 0, count: 20)
    var length: UInt32 = 0
    _ = HMAC(EVP_sha1(), key, Int32(key.count), message, message.count, &code, &length)
    return Data(code).base64EncodedString()
}

private func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 0
    _ = EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil)
    return digest
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private func withoutDefaultPort(_ origin: String) -> String {
    if origin.hasPrefix("https://"), origin.hasSuffix(":443") { return String(origin.dropLast(4)) }
    if origin.hasPrefix("http://"), origin.hasSuffix(":80") { return String(origin.dropLast(3)) }
    return origin
}

/// Fields of a form, decoded as WHATWG's URL standard does: `+` is a space, a broken escape stands for itself.
func formFields(_ bytes: [UInt8]) -> [(name: [UInt8], value: [UInt8])] {
    bytes.split(separator: UInt8(ascii: "&")).map { field in
        let parts = Array(field).parts(2, separator: UInt8(ascii: "="))
        return (decoded(parts[0]), decoded(parts[1]))
    }
}

private func decoded(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
            bytes[index + 1...index + 2].allSatisfy(isHexadecimal)
        {
            result.append(UInt8(bytes[index + 1...index + 2].text, radix: 16)!)
            index += 3
        } else {
            result.append(bytes[index] == UInt8(ascii: "+") ? UInt8(ascii: " ") : bytes[index])
            index += 1
        }
    }
    return result
}
