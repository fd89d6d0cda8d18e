import OTP
import Testing

@Suite struct SentenceTests {
    @Test(arguments: [
        ("", ""), ("the text is too long", "The text is too long."), ("Done.", "Done."),
        ("is it running?", "Is it running?"), ("wait …", "Wait …"), ("it said (\"no?\")", "It said (\"no?\")"),
        ("can't connect\n", "Can't connect."),
        // Identifiers, addresses and names of programs keep their spelling.
        ("otp.templates has no row", "otp.templates has no row."),
        ("127.0.0.1:80 is in use", "127.0.0.1:80 is in use."),
        ("synchronous_commit is off", "synchronous_commit is off."), ("otpd: no", "otpd: no."),
        ("OTPD_SECRET is not set", "OTPD_SECRET is not set."), ("state: unknown", "State: unknown."),
    ])
    func wholeSentences(words: String, sentence: String) { #expect(Sentence.whole(words) == sentence) }

    @Test(arguments: [
        ("", ""), ("a", "a."), ("a.", "a."), ("a? ", "a?"), ("a!", "a!"), ("\"a.\"", "\"a.\""), ("(a)", "(a)."),
    ])
    func oneMarkAtTheEnd(words: String, sentence: String) { #expect(Sentence.ended(words) == sentence) }
}
