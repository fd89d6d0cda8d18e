import OTP
import Testing

struct ChannelTests {
    @Test func words() {
        #expect(Channel.allCases.map(\.rawValue) == ["sms", "whatsapp", "call", "email"])
        #expect(Channel.allCases.map(\.name) == ["SMS", "WhatsApp", "phone call", "e-mail"])
        #expect("\(Channel.call)" == "call" && Channel(rawValue: "SMS") == nil)
    }
}

struct ContentSIDTests {
    @Test func contentSIDs() {
        let text = "HX0123456789abcdef0123456789abcdeF"
        #expect(ContentSID(text)?.description == text)
        let digits = text.dropFirst(2)
        for bad in [
            "", "HX", "hx\(digits)", "MG\(digits)", "\(text)0", "\(text.dropLast())", "\(text.dropLast())g",
            " \(text.dropLast())", "\(text.dropLast(2))é",
        ] {
            #expect(ContentSID(bad) == nil)
        }
    }
}

struct ChannelTextTests {
    static let sid = "HX0123456789abcdef0123456789abcdef"

    func set(_ callText: String?, _ contentSID: String?, keeping old: TemplateSet? = nil) -> TemplateSet {
        TemplateSet(
            [.init(purpose: "a", locale: "en", text: "{code}", callText: callText, contentSID: contentSID)],
            keeping: old)
    }

    @Test func rows() throws {
        let full = set("It is {code}", Self.sid)
        #expect(full.badRows.isEmpty && full.count == 1)
        #expect(full.callText(purpose: "a", locale: "en") == (try Template("It is {code}")))
        #expect(full.contentSID(purpose: "a", locale: "en")?.description == Self.sid)
        #expect(full.callText(purpose: "a", locale: "ar") == nil && full.contentSID(purpose: "b", locale: "en") == nil)
        let plain = set(nil, nil, keeping: full)
        #expect(plain.callText(purpose: "a", locale: "en") == nil)
        #expect(plain.contentSID(purpose: "a", locale: "en") == nil)
    }

    /// An invalid column affects its own channel, and its predecessor stays in use.
    @Test(
        arguments: [
            ("no code", Self.sid, .noSpokenCode, "call_text must contain {code}"),
            ("{code} {x}", Self.sid, .unknownPlaceholder("x"), "{x}"),
            ("{code}", "HX12", .notContentSID, "content_sid is not a content SID"),
            ("{code}", "", .notContentSID, "HX and 32 hexadecimal digits"),
        ] as [(String, String, Template.Problem, String)])
    func badColumns(_ callText: String, _ contentSID: String, _ problem: Template.Problem, _ words: String) throws {
        let good = set("It is {code}", Self.sid)
        for old in [nil, good] {
            let bad = set(callText, contentSID, keeping: old)
            #expect(bad.badRows.map(\.problem) == [problem])
            #expect(bad.badRows.first?.description.contains(words) == true)
            #expect(try bad.template(purpose: "a", locale: "en") == Template("{code}"), "SMS goes on")
            let isCallText = problem != .notContentSID
            let kept = old?.callText(purpose: "a", locale: "en")
            #expect(bad.callText(purpose: "a", locale: "en") == (isCallText ? kept : try Template("{code}")))
            let keptSID = old?.contentSID(purpose: "a", locale: "en")
            #expect(bad.contentSID(purpose: "a", locale: "en") == (isCallText ? ContentSID(Self.sid) : keptSID))
        }
    }
}
