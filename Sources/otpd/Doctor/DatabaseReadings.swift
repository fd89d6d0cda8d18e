internal import OTP
internal import Postgres
internal import Queue

typealias TemplateRow = TemplateSet.Row

/// The readings of the database. Each may fail by itself, and is nil where it was not tried.
struct DatabaseReadings: Sendable {
    typealias Reading<Value> = Result<Value, PostgresError>

    /// Hosts, user and database, without a password.
    var target: String
    /// Why no connection could be opened.
    var failure: PostgresError?

    /// Nil if the connection has ended.
    var security: ConnectionSecurity?
    var server: Reading<ReadServer.Server>?
    var clock: Reading<[ClockCheck.Sample]>?
    var role: Reading<ReadRole.Role>?
    var schema: Reading<SchemaState>?
    var missingGrants: Reading<[WorkerGrant]>?
    var stored: Reading<[ReadStoredSettings.Entry]>?
    var concealment: Reading<ReadConcealment.Concealment>?
    var owner: Reading<ReadOwner.Owner?>?
    var rights: Reading<[ReadMissingRights.Right]>?
    var sequences: Reading<[AdvanceSequences.Sequence]>?
    var seals: Reading<[ReadSeals.Seals]>?
    var standbys: Reading<ReadStandbys.Standbys>?
    var zone: Reading<ReadTimeZone.Zone>?
    var numbers: Reading<ReadNumberTable.Reading>?
    var templates: Reading<[TemplateRow]>?
    var countries: Reading<[ReadTexts.Country]>?
    var routes: Reading<[ReadRoutes.Step]>?
    var fraud: Reading<ReadFraud.Coverage>?
    var testNumbers: Reading<[ReadTestNumbers.TestNumber]>?
    var activity: Reading<ReadActivity.Activity>?
    var listen: Reading<TryListen.Hearing>?
}
