import Testing

@testable import TwilioSimulator

/// Mails as the inbox reads them.
@Suite struct MailTests {
    private func read(_ lines: String...) -> MailContent {
        MailContent(Array(lines.joined(separator: "\r\n").utf8))
    }

    @Test func aPlainMail() {
        let mail = read(
            "message-id: <otpd-7-abc@example.com>", "Subject: Your code", "", "Your code is: 482913", "", "Bye", "")
        #expect(mail.subject == "Your code" && mail.messageID == "otpd-7-abc@example.com")
        #expect(mail.text == "Your code is: 482913\n\nBye")
        #expect(mail.html == nil)
    }

    @Test func twoFormsAndTheirEncodings() {
        let mail = read(
            "Content-Type: multipart/alternative;", "\tboundary=\"=_b 1\"", "Subject: =?utf-8?B?2LHZhdiy?=",
            " =?UTF-8?q?_A=42?= C",
            "", "preamble", "--=_b 1", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable", "", "=D8=B1=D9=85=D8=B2: 48=", "2913", "--=_b 1",
            "content-type: TEXT/HTML; charset=utf-8", "content-transfer-encoding: BASE64", "", "PGI+NDgy",
            "OTEzPC9iPg==",
            "--=_b 1--", "epilogue: 1")
        #expect(mail.subject == "رمز AB C")
        #expect(mail.text == "رمز: 482913")
        #expect(mail.html == "<b>482913</b>")
    }

    @Test func partsWithinParts() {
        let mail = read(
            "Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: multipart/alternative; boundary=b",
            "",
            "--b", "", "inner", "--b--", "--a", "Content-Type: application/pdf", "", "x", "--a", "", "second", "--a--")
        #expect(mail.text == "inner")
    }

    @Test(arguments: [
        "", "\r\n", "\r\n\r\n", ":", "x", "Subject", "Content-Type: multipart/alternative\r\n\r\n--x\r\n\r\ny",
        "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--",
        "Message-ID: <\r\nSubject: =?utf-8?B?=\r\n\r\n",
        "Subject: =?utf-8?X?a?= =?=\r\n\r\n",
        "Content-Transfer-Encoding: base64\r\nContent-Type: image/png\r\n\r\n====",
    ])
    func strangeMailsAreTaken(text: String) {
        #expect(MailContent(Array(text.utf8)).messageID == "")
    }

    @Test func nestingHasALimit() {
        var text = ""
        for depth in 0..<100 { text += "Content-Type: multipart/mixed; boundary=b\(depth)-\r\n\r\n--b\(depth)-\r\n" }
        #expect(MailContent(Array((text + "\r\ndeep").utf8)).text == "")
    }

    @Test(arguments: [
        ("a=3D=\r\nb=C3=A9=", "a=bé="), ("=zz=4", "=zz=4"), ("=\nx", "x"), ("", ""),
    ])
    func quotedPrintable(text: String, decoded: String) {
        #expect(String(utf8: MailCodec.quotedPrintable(Array(text.utf8)[...])) == decoded)
    }

    @Test func base64IgnoresStrangers() {
        #expect(MailCodec.base64("QUJ\r\nD!RA==".utf8) == Array("ABCD".utf8))
        #expect(MailCodec.base64("".utf8) == [])
        #expect(MailCodec.base64("A".utf8) == [])
    }
}
