/// One value of a row that a command prints.
enum Cell: Equatable {
    case null
    case text(String)
    case integer(Int64)
    /// A number in PostgreSQL's own spelling (`numeric`, `double precision`). It is printed verbatim. `NaN` and
    /// `Infinity` become strings in JSON.
    case number(String)
    case boolean(Bool)

    /// The cell as one line, with `—` for NULL.
    var text: String {
        switch self {
        case .null: "—"
        case .text(let text): SingleLine.escaped(text)
        case .integer(let value): String(value)
        case .number(let number): SingleLine.escaped(number)
        case .boolean(let value): value ? "yes" : "no"
        }
    }

    fileprivate func appendJSON(to json: inout String) {
        switch self {
        case .null: json += "null"
        case .text(let text): JSONText.append(text, to: &json)
        case .integer(let value): json += String(value)
        case .number(let number) where JSONText.isNumber(number): json += number
        case .number(let word): JSONText.append(word, to: &json)
        case .boolean(let value): json += value ? "true" : "false"
        }
    }
}

/// Rows under named columns, printed as an aligned table for people or as JSON for programs.
struct Table: Equatable {
    let columns: [String]
    private(set) var rows: [[Cell]] = []

    init(columns: [String], rows: [[Cell]] = []) {
        self.columns = columns
        for row in rows { append(row) }
    }

    /// Adds a row, which must have a cell for each column.
    mutating func append(_ row: [Cell]) {
        precondition(row.count == columns.count, "a row of \(row.count) cells under \(columns.count) columns")
        rows.append(row)
    }

    /// The table without a column.
    func without(_ name: String) -> Table {
        guard let column = columns.firstIndex(of: name) else { return self }
        func rest<Value>(_ values: [Value]) -> [Value] {
            values.indices.filter { $0 != column }.map { values[$0] }
        }
        return Table(columns: rest(columns), rows: rows.map(rest))
    }

    /// The rows that have `value` in the column called `name`.
    func only(_ name: String, _ value: Int64) -> Table {
        guard let column = columns.firstIndex(of: name) else { return self }
        return Table(
            columns: columns,
            rows: rows.filter { $0[column] == .integer(value) || $0[column] == .number(String(value)) })
    }

    /// The table as lines of at most `width` columns where a width is given. To fit, the last column is cut, but never
    /// to less than ten columns.
    func text(width: Int?) -> String {
        guard let width, let last = columns.indices.last else { return text }
        let others = columns.indices.dropLast().reduce(0) { sum, column in
            sum + 2
                + rows.reduce(DisplayWidth.columns(columns[column])) { max($0, DisplayWidth.columns($1[column].text)) }
        }
        let room = max(10, width - others)
        return Table(
            columns: columns,
            rows: rows.map { row in
                var row = row
                if case .text = row[last] { row[last] = .text(TextLayout.fit(row[last].text, room)) }
                return row
            }
        ).text
    }

    /// The table as lines: a header, a rule and the rows, with two spaces between columns. A column that holds only
    /// numbers is aligned to the right. No line ends in spaces.
    var text: String {
        let words = rows.map { $0.map(\.text) }
        let widths = columns.indices.map { column in
            words.reduce(DisplayWidth.columns(columns[column])) { max($0, DisplayWidth.columns($1[column])) }
        }
        let rightAligned = columns.indices.map(isNumeric)
        func line(_ cells: [String]) -> String {
            var line = ""
            for (column, cell) in cells.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - DisplayWidth.columns(cell))
                line += rightAligned[column] ? padding + cell : cell + padding
                line += "  "
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }
        var text = line(columns) + line(widths.map { String(repeating: "─", count: $0) })
        for row in words { text += line(row) }
        return text
    }

    /// The rows as a JSON array with one object a line, and keys in the columns' order. `[]` without rows.
    var json: String {
        guard !rows.isEmpty else { return "[]\n" }
        var json = "[\n"
        for (index, row) in rows.enumerated() {
            json += "  {"
            for (column, cell) in row.enumerated() {
                if column > 0 { json += ", " }
                JSONText.append(columns[column], to: &json)
                json += ": "
                cell.appendJSON(to: &json)
            }
            json += index == rows.count - 1 ? "}\n" : "},\n"
        }
        return json + "]\n"
    }

    private func isNumeric(_ column: Int) -> Bool {
        var anyNumber = false
        for row in rows {
            switch row[column] {
            case .integer, .number: anyNumber = true
            case .null: continue
            case .text, .boolean: return false
            }
        }
        return anyNumber
    }
}
