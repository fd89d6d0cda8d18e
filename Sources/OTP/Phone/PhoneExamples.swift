internal import CPhoneNumber

/// libphonenumber's example numbers: what tests hold numbers against.
public enum PhoneExamples {
    /// Every region that libphonenumber knows: `AC` … `ZW`, and each calling code without a country, such as `800`.
    public static var regions: [String] {
        (0..<otpd_phone_region_count()).map { unsafe String(cString: otpd_phone_region($0)) }
    }

    /// An example of `type` in `region`, in E.164; nil where there is none.
    public static func e164(region: String, type: NumberType) -> String? {
        let digits = unsafe region.withCString { unsafe otpd_phone_example($0, type.cValue) }
        return digits == 0 ? nil : "+\(digits)"
    }
}
