"""The faults. Each function strikes once, and returns when everything is allowed to come back. The arena has seen before that
the cluster is whole and codes flow, and sees the same afterwards."""
import asyncio
import signal
import time

from arena import Arena
from node import NUMBERS, Node
from trio import Promotion


async def switchover(arena: Arena, primary: Node) -> None:
    """Patroni hands the primary over, as it is asked to."""
    began = time.time()
    answer = await arena.trio.post(primary, "/switchover", leader=primary.name)
    arena.expect(answer.startswith("200"), f"Patroni refused: {answer}")
    arena.say(answer)
    await arena.trio.promoted(began, but=primary)


ALL = {"switchover": switchover}
