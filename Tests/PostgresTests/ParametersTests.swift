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
