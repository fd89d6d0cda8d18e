/// First in, first out, over one array whose used-up front is cut off now and then; no allocation once it has grown.
struct FIFO<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func prepend(_ element: Element) {
        if head > 0 {
            head -= 1
            elements[head] = element
        } else {
            elements.insert(element, at: 0)
        }
    }

    @discardableResult
    mutating func removeFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        elements[head] = nil
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head * 2 >= elements.count {
            elements.removeSubrange(..<head)
            head = 0
        }
        return element
    }

    func first(where matches: (Element) -> Bool) -> Element? {
        for case let element? in elements[head...] where matches(element) { return element }
        return nil
    }

    /// Takes out the first that `matches`, wherever it stands.
    @discardableResult
    mutating func removeFirst(where matches: (Element) -> Bool) -> Element? {
        for index in head..<elements.count {
            guard let element = elements[index], matches(element) else { continue }
            elements.remove(at: index)
            return element
        }
        return nil
    }

    mutating func updateFirst(_ change: (inout Element) -> Void) {
        guard head < elements.count, var element = elements[head] else { return }
        change(&element)
        elements[head] = element
    }

    mutating func update(where matches: (Element) -> Bool, _ change: (inout Element) -> Void) {
        for index in head..<elements.count {
            guard var element = elements[index], matches(element) else { continue }
            change(&element)
            elements[index] = element
        }
    }
}
