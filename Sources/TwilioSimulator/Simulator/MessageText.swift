/// The text of a new message: its `Body`, or its `ContentSid` with `ContentVariables`.
struct MessageText: Equatable {
    let text: String
    /// Twilio accepts the message, and it ends undelivered with this error; nil if its text is fine.
    let deliveryError: UInt32?

    init(
        _ form: Form, _ channel: Channel, templates: ContentTemplates, isWindowOpen: Bool
    ) throws(ContentTemplates.Invalid) {
        if let sid = form["ContentSid"], !sid.isEmpty {
            let rendered = try templates.render(String(utf8: sid), variables: form["ContentVariables"])
            text = rendered.text
            deliveryError = channel == .whatsapp && rendered.isIncomplete ? 63028 : nil
            return
        }
        text = form.text("Body") ?? ""
        if text.isEmpty { throw ContentTemplates.Invalid(code: 21602) }
        if text.utf16.count > 1600 { throw ContentTemplates.Invalid(code: 21617) }
        deliveryError = channel == .whatsapp && !isWindowOpen ? 63016 : nil
    }
}
