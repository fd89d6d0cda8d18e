import OTP

@testable import Twilio

/// The form of a create request, from four lines: sender, callback URL, attempt number, text. For any input it decodes to
/// exactly the fields that it was made of. No part of a text can become a field.
func fuzzForm(_ bytes: [UInt8]) {
    var encoded: [UInt8] = []
    FormEncoding.append(bytes.span, to: &encoded)
    require(
        encoded.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "&") && $0 != UInt8(ascii: "=") },
        "an encoded value holds nothing that ends it")
    require(
        formFields([UInt8(ascii: "v"), UInt8(ascii: "=")] + encoded)[0].value == bytes, "it decodes to what it was")

    let parts = bytes.parts(4)
    let callback = parts[1].isEmpty ? nil : parts[1].text
    let body = parts[3]
    let job = parts[2].reduce(Int64(0)) { ($0 << 8 | Int64($1)) & .max }
    let attempt = Int32(truncatingIfNeeded: job) & .max
    guard let sender = try? Sender(from: parts[0].text), let number = try? PhoneNumber(e164: "+966501234567") else {
        return
    }
    var form: [UInt8] = [1, 2, 3]
    let create = CreateMessage(sender: sender, statusCallback: callback)
    let life = Duration.seconds(Int(bytes.last ?? 0) * 300)
    guard create.write(into: &form, to: number, body: body.span, lifeLeft: life, job: job, attempt: attempt) else {
        require(life < .seconds(1) && form.isEmpty, "only a dead code is not written, and then nothing is")
        return
    }
    var expected = ["To": Array("+966501234567".utf8), "From": Array(parts[0].text.utf8), "Body": body]
    expected["ValidityPeriod"] = Array(String(min(life.components.seconds, 36_000)).utf8)
    if let callback {
        let joint = callback.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
        expected["StatusCallback"] = Array("\(callback)\(joint)reference=\(job).\(attempt)".utf8)
    }
    let fields = formFields(form)
    require(fields.count == expected.count, "there are the fields and no others")
    for field in fields {
        require(expected[field.name.text] == field.value, "\(field.name.text) is what it was")
    }
}
