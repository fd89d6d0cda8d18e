/// The templates of all purposes and locales, as rows of `otp.templates`.
public struct TemplateSet: Sendable {
    /// One row of `otp.templates`.
    public struct Row: Sendable, Hashable {
        public let purpose: String
        public let locale: String
        public let text: String

        public init(purpose: String, locale: String, text: String) {
            self.purpose = purpose
            self.locale = locale
            self.text = text
        }
    }

    /// There is no row for this purpose and locale.
    public struct Missing: Error, Sendable, Hashable, CustomStringConvertible {
        public let purpose: String
        public let locale: String

        public var description: String {
            """
            otp.templates has no row for purpose "\(purpose)" and locale "\(locale)": \
            insert one, or request the code with a purpose and locale that it has
            """
        }
    }

    /// Rows that are no templates: all of them at once, each with its reason.
    public struct Problems: Error, Sendable, CustomStringConvertible {
        public let problems: [(row: Row, problem: Template.Problem)]

        public var description: String {
            problems.map { "otp.templates, purpose \"\($0.row.purpose)\", locale \"\($0.row.locale)\": \($0.problem)" }
                .joined(separator: "\n")
        }
    }

    private struct Key: Hashable {
        let purpose: String
        let locale: String
    }

    private let templates: [Key: Template]

    /// Parses every row; later rows of the same purpose and locale win.
    public init(_ rows: [Row]) throws(Problems) {
        var templates: [Key: Template] = [:]
        var problems: [(row: Row, problem: Template.Problem)] = []
        for row in rows {
            do throws(Template.Problem) {
                templates[Key(purpose: row.purpose, locale: row.locale)] = try Template(row.text)
            } catch {
                problems.append((row, error))
            }
        }
        guard problems.isEmpty else { throw Problems(problems: problems) }
        self.templates = templates
    }

    /// The template of a purpose and locale.
    public func template(purpose: String, locale: String) throws(Missing) -> Template {
        guard let template = templates[Key(purpose: purpose, locale: locale)] else {
            throw Missing(purpose: purpose, locale: locale)
        }
        return template
    }

    public var count: Int { templates.count }
}
