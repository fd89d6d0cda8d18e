// @ts-check
// otpd's functions for Node, over `pg`. Copy this file into your project. The ids are strings, because PostgreSQL's 64-bit
// numbers do not fit into a JavaScript number.
import pg from "pg";

/** @typedef {Pick<pg.ClientBase, "query"> | Pick<pg.Pool, "query">} Database a pool, or a client within your transaction */
/** @typedef {"sms" | "whatsapp" | "call" | "email"} Channel */
/** @typedef {"accepted" | "delivered" | "undelivered" | "failed" | "expired" | "held" | "verified"} EventName */
/**
 * @typedef {object} Requested
 * @property {string} verificationId
 * @property {Date} expiresAt
 * @property {Date | null} resendAfter when the code can be sent again
 */
/**
 * @typedef {object} Delivery the state of one send job
 * @property {string} sendJobId
 * @property {Channel} channel
 * @property {string} jobState otpd's own word, such as queued, accepted or failed
 * @property {string | null} messageStatus Twilio's own word; null before there is a message
 * @property {string | null} error for you, and never for the user
 */
/**
 * @typedef {object} Event what became of a code
 * @property {string} id
 * @property {string} verificationId
 * @property {string | null} sendJobId
 * @property {Channel | null} channel
 * @property {EventName} event
 * @property {string | null} errorClass
 * @property {string | null} nextSendJobId the job that follows a failure; null: nothing follows
 * @property {Date} occurredAt
 */

/** No code was sent or compared, for a reason that the user can mend. The message is for the user. */
export class Refused extends Error {
  /** @param {string} sqlstate @param {string} message @param {{ retryAfter?: number, scope?: string }} [limit] */
  constructor(sqlstate, message, limit = {}) {
    super(message);
    this.name = "Refused";
    /** OT001: too many requests. OT002: invalid phone number. OT005: the country is not allowed. */
    this.sqlstate = sqlstate;
    /** OT001: seconds until another request can succeed */
    this.retryAfter = limit.retryAfter;
    /** OT001: the limit that refused, such as phone or client_ip */
    this.scope = limit.scope;
  }
}

/**
 * A pool whose sessions carry the secret. It is in no statement, so no log shows it.
 * @param {string} secret the daemon's OTPD_SECRET
 * @param {pg.PoolConfig} [config]
 */
export function connect(secret, config = {}) {
  if (!/^[A-Za-z0-9_-]{32,}$/.test(secret)) throw new TypeError("the secret must be 32 or more of A-Z a-z 0-9 - _");
  return new pg.Pool({ ...config, options: `${config.options ?? ""} -c otp.secret=${secret}`.trim() });
}

/**
 * Sends a code; the same again while one is live. With a client within a transaction, rolled back means never sent.
 * @param {Database} db @param {string} subject @param {string} phoneNumber
 * @param {{ purpose?: string, locale?: string, region?: string, clientIp?: string, channel?: Channel, email?: string }} [options]
 * @returns {Promise<Requested>}
 */
export async function request(db, subject, phoneNumber, options = {}) {
  const { purpose, locale, region, clientIp, channel, email } = options;
  const [row] = await rows(
    db,
    `SELECT verification_id AS "verificationId", expires_at AS "expiresAt", resend_after AS "resendAfter"
       FROM otp.request($1, $2, purpose => $3, locale => $4, region => $5, client_ip => $6, channel => $7, email => $8)`,
    [subject, phoneNumber, purpose, locale, region, clientIp, channel, email],
  );
  return row;
}

/**
 * Whether the code is right: true once. Call it on the pool, or in a transaction that changes nothing else.
 * @param {Database} db @param {string} subject @param {string} code
 * @param {{ purpose?: string, phoneNumber?: string, clientIp?: string }} [options]
 * @returns {Promise<boolean>}
 */
export async function verify(db, subject, code, options = {}) {
  const { purpose, phoneNumber, clientIp } = options;
  const values = [subject, code, purpose ?? "phone_verification", phoneNumber, clientIp];
  const [row] = await rows(db, "SELECT otp.verify($1, $2, $3, $4, client_ip => $5) AS right", values);
  return row.right;
}

/** @param {Database} db @param {string} verificationId @param {string} subject @returns {Promise<Delivery[]>} */
export function delivery(db, verificationId, subject) {
  const columns = `send_job_id AS "sendJobId", channel, job_state AS "jobState", message_status AS "messageStatus", error`;
  return rows(db, `SELECT ${columns} FROM otp.delivery($1, $2)`, [verificationId, subject]);
}

/**
 * Ends a verification: no further sends, and its code is no longer right.
 * @param {Database} db @param {string} verificationId @param {string} subject @returns {Promise<boolean>}
 */
export async function cancel(db, verificationId, subject) {
  return (await rows(db, "SELECT otp.cancel($1, $2) AS canceled", [verificationId, subject]))[0].canceled;
}

/** @param {Database} db @param {string} subject @returns {Promise<{ e164: string, verifiedAt: Date }[]>} */
export function verifiedPhones(db, subject) {
  return rows(db, `SELECT e164, verified_at AS "verifiedAt" FROM otp.verified_phones($1)`, [subject]);
}

/**
 * The next events of a reader, in order. Returns the same events until you confirm them.
 * @param {Database} db @param {string} reader @param {number} [max] @returns {Promise<Event[]>}
 */
export function readEvents(db, reader, max = 100) {
  const columns = `id, verification_id AS "verificationId", send_job_id AS "sendJobId", channel, event,
    error_class AS "errorClass", next_send_job_id AS "nextSendJobId", occurred_at AS "occurredAt"`;
  return rows(db, `SELECT ${columns} FROM otp.read_events($1, $2)`, [reader, max]);
}

/**
 * Confirms the events up to and including this id.
 * @param {Database} db @param {string} reader @param {string} upTo
 */
export async function confirmEvents(db, reader, upTo) {
  await rows(db, "SELECT otp.confirm_events($1, $2)", [reader, upTo]);
}

/** @param {Database} db @param {string} text @param {unknown[]} values @returns {Promise<any[]>} */
async function rows(db, text, values) {
  try {
    return (await db.query(text, values)).rows;
  } catch (error) {
    const { code, message, detail } = /** @type {pg.DatabaseError} */ (error);
    if (code === "OT001") {
      /** @type {Record<string, string>} from retry_after=17 window=300 scope=phone */
      const limit = Object.fromEntries((detail ?? "").split(" ").map((/** @type {string} */ pair) => pair.split("=")));
      const retryAfter = Number(limit.retry_after);
      const words = `Too many requests. Try again in ${retryAfter} seconds.`;
      throw new Refused(code, words, { retryAfter, scope: limit.scope });
    }
    if (code === "OT002" || code === "OT005") throw new Refused(code, message);
    throw error; // the others are mistakes of the backend or of its settings
  }
}
