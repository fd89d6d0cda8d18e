import Testing

@testable import Postgres

@Suite("Parameters")
struct ParametersTests {
    @Test("integers are big-endian, one field each")
    func integers() {
        var parameters = Parameters()
        parameters.append(0x0102_0304 as Int32)
        parameters.append(-1 as Int64)
        parameters.append(0x0A0B as Int16)
        parameters.append(true)
        #expect(parameters.count == 4)
        #expect(parameters.storage == [1, 2, 3, 4] + [UInt8](repeating: 255, count: 8) + [10, 11, 1])
        #expect(parameters.fields.map(\.length) == [4, 8, 2, 1])
    }
}

@Suite("Array parameters")
struct ArrayTests {
    @Test("an array says its dimensions, NULLs, element type, length and bound, then its elements")
    func integers() {
        var parameters = Parameters()
        parameters.append([258, -1] as [Int32])
        let header: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1]
        #expect(parameters.storage == header + [0, 0, 0, 4, 0, 0, 1, 2, 0, 0, 0, 4, 255, 255, 255, 255])
        #expect(parameters.count == 1 && parameters.fields[0].length == parameters.storage.count)
    }

    @Test("a NULL element has length -1 and sets the flag")
    func nulls() {
        var parameters = Parameters()
        parameters.append(["é", nil] as [String?])
        let header: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1]
        #expect(parameters.storage == header + [0, 0, 0, 2, 0xC3, 0xA9, 255, 255, 255, 255])
    }

    @Test("an empty array has no dimensions, and what follows is not disturbed")
    func empty() {
        var parameters = Parameters()
        parameters.append([] as [Int64])
        parameters.append(true)
        #expect(parameters.storage == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 1])
        #expect(parameters.fields.map(\.offset) == [0, 12])
    }

    @Test("NULL, empty text and removal")
    func edges() {
        var parameters = Parameters()
        parameters.appendNull()
        parameters.append("")
        parameters.append(nil as Int64?)
        #expect(parameters.fields.map(\.length) == [-1, 0, -1])
        parameters.append("secret")
        var dumped = ""
        dump(parameters, to: &dumped)
        #expect(!dumped.contains("115") && "\(parameters)" == "4 parameters")
        parameters.removeAll()
        #expect(parameters.count == 0 && parameters.storage.isEmpty)
    }

    @Test("filling it again allocates nothing once it has grown")
    func reuse() {
        var parameters = Parameters()
        func fill() { parameters.append(0..<256 as Range<Int64>) }
        fill()
        let capacity = parameters.storage.capacity
        for _ in 0..<10 {
            parameters.removeAll()
            fill()
        }
        #expect(parameters.storage.capacity == capacity)
    }
}
