import Testing

@testable import TwilioSimulator

@Suite struct TwiMLTests {
    @Test(arguments: [
        ("<Response><Say>Hello</Say></Response>", "Hello"),
        (
            "<?xml version=\"1.0\"?>\n<Response>\n <Say> a\n b </Say><Pause length=\"2\"/><Say>c</Say></Response>",
            "a b\nc"
        ),
        (
            "<Response><Say loop=\"3\" voice=\"Polly.Joanna\" language=\"en-US\">Code <say-as interpret-as=\"digits\">482913"
                + "</say-as>.</Say></Response>",
            "Code 4 8 2 9 1 3.\nCode 4 8 2 9 1 3.\nCode 4 8 2 9 1 3."
        ),
        (
            "<Response><Say><prosody rate=\"slow\">4<break time=\"500ms\"/>8<break/>2, 9</prosody></Say></Response>",
            "4 8 2, 9"
        ),
        (
            "<Response><Say>a &amp; b &lt;c&gt; &#x631;&#49; <![CDATA[<x>]]><!-- no --></Say></Response>",
            "a & b <c> ر1 <x>"
        ),
        ("<Response><Say loop='0'>x</Say></Response>", Array(repeating: "x", count: 10).joined(separator: "\n")),
        ("<Response><Hangup/></Response>", ""),
        ("<Response><Say><say-as interpret-as=\"characters\">A1<break/>B2</say-as></Say></Response>", "A 1 B 2"),
        ("<Response><Say><say-as interpret-as=\"date\">2024</say-as></Say></Response>", "2024"),
    ])
    func saysTheWords(document: String, words: String) throws {
        #expect(try TwiML(document).words == words)
    }

    @Test(arguments: [
        ("", 12100), ("hello", 12100), ("<Response>", 12100), ("<Response><Say>x</Response></Say>", 12100),
        ("<Response/><Response/>", 12100), ("<Say>x</Say>", 12100), ("<Response>x</Response>", 12100),
        ("<Response><Say a>x</Say></Response>", 12100), ("<Response><Say a=b>x</Say></Response>", 12100),
        ("<Response><Say a=\"1\" a=\"2\">x</Say></Response>", 12100), ("<Response><Say>&nbsp;</Say></Response>", 12100),
        ("<Response><Say>a & b</Say></Response>", 12100), ("<Response><Say>&#xD800;</Say></Response>", 12100),
        ("<!DOCTYPE x><Response/>", 12100), ("<Response><!-- x</Response>", 12100), ("</Response>", 12100),
        ("<Response><", 12100), ("<Response><Dial>1</Dial></Response>", 12200),
        ("<Response><Say><b>x</b></Say></Response>", 12200),
        ("<Response><Pause><Say>x</Say></Pause></Response>", 12200),
        ("<Response><Say></Say></Response>", 13520), ("<Response><Say> </Say></Response>", 13520),
        ("<Response><Say loop=\"x\">x</Say></Response>", 13510),
        ("<Response><Say loop=\"-1\">x</Say></Response>", 13510),
        ("<Response><Say language=\"xx-XX\">x</Say></Response>", 13511),
        ("<Response><Say voice=\"Polly.Nobody\">x</Say></Response>", 13512),
        ("<Response><Say voice=\"Polly.Joanna\" language=\"arb\">x</Say></Response>", 13520),
        ("<Response><Pause length=\"0\"/></Response>", 13610),
        ("<Response><Say>\(String(repeating: "a", count: 4000))</Say></Response>", 20001),
    ])
    func refuses(document: String, code: Int) {
        #expect(throws: TwiML.Invalid(code: code)) { try TwiML(document) }
    }

    @Test(
        arguments: [
            (nil, nil, true), (nil, "en-US", true), (nil, "arb", false), ("man", "fr", true), ("woman", "tr-TR", false),
            ("alice", "pt-BR", true), ("alice", "arb", false), ("Polly.Zeina", "arb", true), ("Polly.Zeina", nil, true),
            ("Polly.Zeina", "ar-AE", false), ("Polly.Hala-Neural", "ar-AE", true), ("Polly.Hala-Deep", "ar-AE", nil),
            ("Google.ar-XA-Wavenet-A", "ar-XA", true), ("Google.ar-XA-Wavenet-A", "ar-SA", false),
            ("Google.en-US-Chirp3-HD-Aoede", "en-US", true), ("Google.xx-XX-Standard-A", nil, nil),
            ("Google.en-US-Loud-A", nil, nil), ("Google.", nil, nil), ("Polly.", nil, nil), ("", nil, nil),
        ] as [(String?, String?, Bool?)])
    func voicesAndLanguages(voice: String?, language: String?, speaks: Bool?) {
        #expect(Voices.speaks(voice: voice, language: language) == speaks)
    }

    @Test(
        arguments: [
            ("Your Mgask code is: 482913. It expires in 10 minutes.", "482913"), ("رمز التحقق: 123456", "123456"),
            ("Your code is: 4 8 2 9 1 3.", "482913"), ("Your code is: 4, 8, 2, 9.\nYour code is: 4, 8, 2, 9.", "4829"),
            ("Code AB12CD now", "AB12CD"), ("no code here", nil), ("", nil), ("123", nil), ("1234567890123", nil),
            ("1 2 3", nil), ("@m.example #482913", "482913"),
        ] as [(String, String?)])
    func findsTheCode(text: String, code: String?) {
        #expect(CodeFinder.code(in: text) == code)
    }
}
