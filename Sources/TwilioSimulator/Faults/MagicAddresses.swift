/// E-mail addresses with a fixed outcome, by the part before the `@`, or by what follows a `+` there.
enum MagicAddresses {
    struct Magic: Equatable {
        var step: MailStep
        var fault: MailFault
        /// Whether it strikes the first time only.
        var isOnce = true
    }

    /// What happens to a mail to that address, or nil.
    static func fault(_ address: String) -> Magic? {
        let local = address.prefix { $0 != "@" }
        let word = local.split(separator: "+").last.map(String.init) ?? ""
        for (prefix, step) in [("rcpt-", MailStep.rcpt), ("final-", .final)] where word.hasPrefix(prefix) {
            guard let code = Int(word.dropFirst(prefix.count)), (400...599).contains(code) else { return nil }
            return Magic(step: step, fault: .reply(code: code, text: MailFault.text(code)), isOnce: code < 500)
        }
        switch word {
        case "close-before": return Magic(step: .final, fault: .close)
        case "close-after": return Magic(step: .final, fault: .keepThenClose)
        case "slow": return Magic(step: .final, fault: .slow(milliseconds: 3000))
        case "never": return Magic(step: .final, fault: .never)
        default: return nil
        }
    }

    /// The table, for `--help`.
    static let help = """
        Magic e-mail addresses, at any domain; name+WORD@ works too. Those below 500 strike the first time only:
          rcpt-CODE@       the recipient is refused with that SMTP code, e.g. rcpt-550@example.com
          final-CODE@      the mail is refused with that SMTP code after its final dot
          close-before@    closed without a reply after the final dot, not kept (the first time only, as all below)
          close-after@     kept, then closed without a reply
          slow@            kept, answered after 3 s
          never@           kept, never answered
        """
}
