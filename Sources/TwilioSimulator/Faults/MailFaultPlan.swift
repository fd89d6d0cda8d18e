/// Decides which fault a step gets: counted rules, then addresses with a fixed outcome.
struct MailFaultPlan {
    struct Rule: Equatable {
        var step: MailStep
        var fault: MailFault
        /// Only for mails to that address.
        var to: String?
        var remaining: Int
    }

    /// Applied in order, each to its next `remaining` steps.
    var rules: [Rule] = []
    private var magicUsed: Set<String> = []

    init() {}

    /// The fault of this step, for a mail to `to` if that is known already. Uses up one count of its rule.
    mutating func fault(_ step: MailStep, to: String?) -> MailFault? {
        let to = to?.lowercased()
        if let position = rules.firstIndex(where: { $0.step == step && ($0.to == nil || $0.to == to) }) {
            let fault = rules[position].fault
            rules[position].remaining -= 1
            if rules[position].remaining <= 0 { rules.remove(at: position) }
            return fault
        }
        guard let to, let magic = MagicAddresses.fault(to), magic.step == step else { return nil }
        if magic.isOnce, !magicUsed.insert(to).inserted { return nil }
        return magic.fault
    }
}
