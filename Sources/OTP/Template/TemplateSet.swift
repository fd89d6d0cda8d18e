/// The templates of all purposes and locales, as rows of `otp.templates`.
public struct TemplateSet: Sendable {
    /// One row of `otp.templates`.
    public struct Row: Sendable, Hashable {
        public let purpose: String
        public let locale: String
        public let text: String
        /// If given, the message ends with a line for WebOTP.
        public let webOTPHost: String?

        public init(purpose: String, locale: String, text: String, webOTPHost: String? = nil) {
            self.purpose = purpose
            self.locale = locale
            self.text = text
            self.webOTPHost = webOTPHost
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
    /// The rows that cannot be used. Only the messages of these rows are affected.
    public let badRows: [BadRow]

    /// Parses every row; a later row of the same purpose and locale wins.
    ///
    /// If a row is not a valid template, its predecessor in `old` stays in use, so that a typo in an edit stops no
    /// message.
    public init(_ rows: [Row], keeping old: TemplateSet? = nil) {
        var templates: [Key: Template] = [:]
        var badRows: [BadRow] = []
        for row in rows {
            do throws(Template.Problem) {
                templates[Key(purpose: row.purpose, locale: row.locale)] = try Template(
                    row.text, webOTPHost: row.webOTPHost)
            } catch {
                let key = Key(purpose: row.purpose, locale: row.locale)
                if let kept = old?.templates[key] { templates[key] = kept }
                badRows.append(BadRow(purpose: row.purpose, locale: row.locale, problem: error))
            }
        }
        self.templates = templates
        self.badRows = badRows
    }

    /// The template of a purpose and locale.
    public func template(purpose: String, locale: String) throws(Missing) -> Template {
        if let template = templates[Key(purpose: purpose, locale: locale)] { return template }
        if let bad = badRows.first(where: { $0.purpose == purpose && $0.locale == locale }) { throw .unusable(bad) }
        throw .noRow(purpose: purpose, locale: locale)
    }

    public var count: Int { templates.count }
}
