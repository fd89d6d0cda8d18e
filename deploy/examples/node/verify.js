// @ts-check
// Asks for a phone number and a code, as the snippets do.
import readline from "node:readline/promises";
import { connect, request, verify } from "./otpd.js";

const db = connect(process.env.OTPD_SECRET ?? "");
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (/** @type {string} */ what) => (process.stdout.write(`${what}: `), (await lines.next()).value ?? "");
try {
  await request(db, "user:1", await ask("Phone number"), { locale: "ar" });
  console.log((await verify(db, "user:1", await ask("Code"))) ? "verified" : "invalid or expired");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
await db.end();
