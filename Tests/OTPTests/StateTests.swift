import OTP
import Testing

struct StateTests {
    @Test func endsStayEndsButForEvidence() {
        for from in JobState.allCases {
            #expect(!from.canBecome(from))
            for to in JobState.allCases where from.isFinal && from.canBecome(to) {
                #expect(to == .accepted && (from == .failed || from == .expired))
            }
        }
        #expect(JobState.queued.canBecome(.sending) && JobState.sending.canBecome(.unknown))
        #expect(!JobState.sending.canBecome(.canceled) && !JobState.queued.canBecome(.accepted))
        #expect(JobState.unknown.canBecome(.accepted) && !JobState.unknown.canBecome(.sending))
        #expect(
            JobState.allCases.map(\.rawValue) == [
                "queued", "sending", "unknown", "accepted", "failed", "expired", "limited", "canceled",
            ])
    }

    /// In whatever order and however often callbacks come, the rank only grows and an end stays.
    @Test func statusesNeverMoveBack() {
        var random = Seeded(4)
        for _ in 0..<500 {
            var current: MessageStatus?
            for _ in 0..<12 {
                let next = (MessageStatus.known + [MessageStatus(rawValue: "buffered")]).randomElement(using: &random)!
                let before = current
                if next.advances(current) { current = next }
                if let before, let after = current { #expect(after == before || after.rank > before.rank) }
                if let before, before.isFinal, before != .delivered { #expect(current == before) }
            }
        }
    }

    @Test(arguments: [
        (MessageStatus.queued, MessageStatus.sent, true), (.sent, .queued, false), (.sent, .delivered, true),
        (.delivered, .sent, false), (.delivered, .undelivered, false), (.undelivered, .delivered, false),
        (.delivered, .read, true), (.failed, .read, false), (.accepted, .queued, true), (.queued, .queued, false),
        (.queued, MessageStatus(rawValue: "buffered"), true), (.sent, MessageStatus(rawValue: "buffered"), false),
        (.scheduled, .canceled, true), (.partiallyDelivered, .delivered, true),
    ])
    func advances(_ from: MessageStatus, _ to: MessageStatus, _ does: Bool) {
        #expect(to.advances(from) == does)
        #expect(to.advances(nil))
    }

    @Test func ends() {
        #expect(MessageStatus.delivered.isFinal && MessageStatus.failed.isFinal && !MessageStatus.sent.isFinal)
        #expect(MessageStatus.sent.mayBeFinal && !MessageStatus.queued.mayBeFinal)
    }

    @Test func messageSIDs() {
        let text = "SM0123456789abcdef0123456789abcdeF"
        #expect(MessageSID(text)?.description == text)
        #expect(MessageSID("MM\(text.dropFirst(2))") != nil)
        #expect(MessageSID(text) != MessageSID(text.lowercased()))
        let digits = text.dropFirst(2)
        let cut = text.dropLast()
        let bad: [String] = [
            "", "SM", "AC\(digits)", "sm\(digits)", "\(text)0", "\(cut)", "\(cut)g", "\(cut)\u{0}",
            "\(cut.dropLast())é",
        ]
        for bad in bad {
            #expect(MessageSID(bad) == nil)
        }
    }
}
