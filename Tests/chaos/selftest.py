"""Scenario: the harness breaks each rule itself, and the count must find it. It runs before all others."""
import asyncio

from link import Missed
from worker import TOKEN

FAKE = "SM" + "0" * 32


async def self_test(stage):
    """The harness sends one POST twice, removes a job, makes an arrival late and ends untrue, and misses a step. The count
    finds all of these, and nothing else."""
    await stage.open()
    worker = await stage.worker()
    sql = await stage.sql()
    crimes = {}

    async def sent():
        """The job of one code that has arrived."""
        (verification,) = await stage.load.insert(1)
        while await sql.value(f"SELECT count(*) FROM otp.messages WHERE verification_id = {verification}") == "0":
            await asyncio.sleep(0.02)
        return await sql.value(f"SELECT send_job_id FROM otp.messages WHERE verification_id = {verification}")

    honest = await sent()
    worker.twilio.replays = 1
    crimes[await sent()] = "2 messages"
    job = await sent()
    await sql(f"DELETE FROM otp.messages WHERE send_job_id = {job}")
    crimes[job] = "gone without an end"
    job = await sent()
    await sql(f"""SET session_replication_role = replica; UPDATE otp.verifications v SET expires_at = created_at
        FROM otp.messages m WHERE m.verification_id = v.id AND m.send_job_id = {job}; RESET session_replication_role""")
    crimes[job] = "after its code had died"
    job = await sent()
    await sql(f"""WITH gone AS (DELETE FROM otp.messages WHERE send_job_id = {job} RETURNING *)
        INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error_code, requested_at)
        SELECT send_job_id, verification_id, 'failed', 1, 21211, requested_at FROM gone""")
    crimes[job] = "failed (21211), and the simulator took it"
    job = await sent()
    await sql(f"UPDATE otp.messages SET message_sid = '{FAKE}' WHERE send_job_id = {job}")
    crimes[job] = f"{FAKE} is not a message to its number"
    job = await sent()
    await sql(f"""INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at)
        SELECT send_job_id, verification_id, 'expired', 1, requested_at FROM otp.messages WHERE send_job_id = {job}""")
    crimes[job] = "ended 2 times"
    stage.load.committed[10**9] = 0.0
    # One leak of each kind into a log.
    text = (await stage.simulator.inbox())[0]
    worker.process.lines += [text["body"], f'{{"to":"0{text["to"][4:]}"}}', f"Authorization: {TOKEN}"]
    leaked = ("has a code, in 1 ", "has a whole number, in 1 ", "has a credential, in 1 ")
    sql.close()

    tally = await stage.tally()
    found = tally.problems
    for job, words in crimes.items():
        mine = [line for line in found if line.startswith(f"job {job}:")]
        stage.expect(len(mine) == 1 and words in mine[0], f"not caught: {words}; said: {mine}")
    stage.expect(any("no such job" in line for line in found), "a commit that was lost was not missed")
    for words in leaked:
        stage.expect(any(words in line for line in found), f"not caught: a log that {words}lines; said: {found}")
    stage.expect(len(found) == len(crimes) + 1 + len(leaked), f"accused without reason (job {honest} is honest): {found}")
    stage.expect((tally.duplicates, tally.lost, tally.late) == (1, 2, 1), "counted wrongly")
    try:
        await worker.twilio.trap("post:never").caught(0.1)
    except Missed:
        pass
    else:
        raise Missed("a step that nobody came by passed for reached")
    stage.forgiven = True
