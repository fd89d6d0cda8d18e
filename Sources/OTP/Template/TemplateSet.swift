/// The templates of all purposes and locales, as rows of `otp.templates`.
public struct TemplateSet: Sendable {
    /// One row of `otp.templates`.
    public struct Row: Sendable, Hashable {
        public let purpose: String
        public let locale: String
        public let text: String
        /// If given, the message ends with a line for WebOTP.
        public let webOTPHost: String?
        /// The words of a phone call; nil for the built-in ones.
        public let callText: String?
        /// The SID of WhatsApp's template; nil if there is none.
        public let contentSID: String?
        /// The subject and the text of an e-mail; nil for the app's name, and for the text of the message.
        public let mailSubject: String?
        public let mailBody: String?

        public init(
            purpose: String, locale: String, text: String, webOTPHost: String? = nil, callText: String? = nil,
            contentSID: String? = nil, mailSubject: String? = nil, mailBody: String? = nil
        ) {
            self.purpose = purpose
            self.locale = locale
            self.text = text
            self.webOTPHost = webOTPHost
            self.callText = callText
            self.contentSID = contentSID
            self.mailSubject = mailSubject
            self.mailBody = mailBody
        }
    }

    /// There is no usable template for this purpose and locale.
    public enum Missing: Error, Sendable, Hashable, CustomStringConvertible {
        /// The table has no such row.
        case noRow(purpose: String, locale: String)
        /// The row is not a valid template.
        case unusable(BadRow)

        public var description: String {
            switch self {
            case .noRow(let purpose, let locale):
                "no template for purpose \"\(purpose)\" and locale \"\(locale)\" in otp.templates"
            case .unusable(let row): row.description
            }
        }
    }

    /// A row that is not a valid template, and why.
    public struct BadRow: Sendable, Hashable, CustomStringConvertible {
        public let purpose: String
        public let locale: String
        public let problem: Template.Problem

        public var description: String {
            "invalid template for purpose \"\(purpose)\" and locale \"\(locale)\": \(problem)"
        }
    }

    private struct Key: Hashable {
        let purpose: String
        let locale: String
    }

    private let templates: [Key: Template]
    private let callTexts: [Key: Template]
    private let contentSIDs: [Key: ContentSID]
    private let mailSubjects: [Key: Template]
    private let mailBodies: [Key: Template]
    /// The rows of which a text or the content SID cannot be used. Only the messages made of that are affected.
    public let badRows: [BadRow]

    /// Parses every row; a later row of the same purpose and locale wins.
    ///
    /// If a text or a content SID of a row is invalid, its predecessor in `old` stays in use, so that a typo in an edit
    /// stops no message.
    public init(_ rows: [Row], keeping old: TemplateSet? = nil) {
        var templates: [Key: Template] = [:]
        var callTexts: [Key: Template] = [:]
        var contentSIDs: [Key: ContentSID] = [:]
        var mailSubjects: [Key: Template] = [:]
        var mailBodies: [Key: Template] = [:]
        var badRows: [BadRow] = []
        for row in rows {
            let key = Key(purpose: row.purpose, locale: row.locale)
            func read<Value>(
                _ values: inout [Key: Value], keeping kept: [Key: Value]?,
                _ value: () throws(Template.Problem) -> Value?
            ) {
                do throws(Template.Problem) {
                    values[key] = try value()
                } catch {
                    if let kept = kept?[key] { values[key] = kept }
                    badRows.append(BadRow(purpose: row.purpose, locale: row.locale, problem: error))
                }
            }
            read(&templates, keeping: old?.templates) { () throws(Template.Problem) in
                try Template(row.text, webOTPHost: row.webOTPHost)
            }
            read(&callTexts, keeping: old?.callTexts) { () throws(Template.Problem) in
                try row.callText.map { text throws(Template.Problem) in try Template(callText: text) }
            }
            read(&mailSubjects, keeping: old?.mailSubjects) { () throws(Template.Problem) in
                try row.mailSubject.map { text throws(Template.Problem) in try Template(subject: text) }
            }
            read(&mailBodies, keeping: old?.mailBodies) { () throws(Template.Problem) in
                try row.mailBody.map { text throws(Template.Problem) in try Template(text) }
            }
            read(&contentSIDs, keeping: old?.contentSIDs) { () throws(Template.Problem) in
                guard let text = row.contentSID else { return nil }
                guard let sid = ContentSID(text) else { throw .notContentSID }
                return sid
            }
        }
        self.templates = templates
        self.callTexts = callTexts
        self.contentSIDs = contentSIDs
        self.mailSubjects = mailSubjects
        self.mailBodies = mailBodies
        self.badRows = badRows
    }

    /// The template of a purpose and locale.
    public func template(purpose: String, locale: String) throws(Missing) -> Template {
        if let template = templates[Key(purpose: purpose, locale: locale)] { return template }
        if let bad = badRows.first(where: { $0.purpose == purpose && $0.locale == locale }) { throw .unusable(bad) }
        throw .noRow(purpose: purpose, locale: locale)
    }

    /// The words of a call for a purpose and locale; nil where the built-in ones apply.
    public func callText(purpose: String, locale: String) -> Template? {
        callTexts[Key(purpose: purpose, locale: locale)]
    }

    /// WhatsApp's template for a purpose and locale; nil if the row has none.
    public func contentSID(purpose: String, locale: String) -> ContentSID? {
        contentSIDs[Key(purpose: purpose, locale: locale)]
    }

    /// The subject and the text of an e-mail. A nil subject is the app's name.
    public func mail(purpose: String, locale: String) throws(Missing) -> (subject: Template?, body: Template) {
        let key = Key(purpose: purpose, locale: locale)
        if let body = mailBodies[key] { return (mailSubjects[key], body) }
        return (mailSubjects[key], try template(purpose: purpose, locale: locale))
    }

    public var count: Int { templates.count }
}
