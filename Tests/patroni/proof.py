"""The count is tried after each fault: it must find what is wrong in a count that was falsified."""
from count import Tally, count
from sql import Sql
from tally import Result

# A verification that no run has.
NOWHERE = 1 << 60
DAY = 86_400_000_000


async def prove(sql: Sql, inbox: list[dict], committed: dict[int, float], result: Result) -> None:
    """Counts again: with a message twice, with a message a day later, without a message, with a job that does not exist."""
    accepted = {sid for sid, in await sql("SELECT message_sid FROM otp.messages WHERE is_primary")}
    victim = next((message for message in inbox if message["sid"] in accepted), None)
    if victim is None:
        result.problems.append("the count was not tried: there is no accepted message")
        return
    rest = [message for message in inbox if message is not victim]

    async def found(inbox: list[dict], committed: dict[int, float] = committed) -> Tally:
        return await count(sql, inbox, committed, [])
    honest = result.tally
    twice = await found([*inbox, dict(victim, sid="SM" + "f" * 32)])
    late = await found([*rest, dict(victim, received_at=victim["received_at"] + DAY)])
    without = await found(rest)
    missing = await found(inbox, {**committed, NOWHERE: 0})
    for what, is_found in {
        "a second message": twice.duplicates == honest.duplicates + 1, "a late message": late.late > honest.late,
        "a missing message": len(without.problems) > len(honest.problems), "a missing job": missing.lost == honest.lost + 1,
    }.items():
        if not is_found:
            result.problems.append(f"the count cannot be trusted: it did not find {what}")
