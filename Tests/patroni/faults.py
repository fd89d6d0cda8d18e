"""The faults. Each function strikes once, and returns when everything is allowed to come back. The arena has seen before that
the cluster is whole and codes flow, and sees the same afterwards."""
import asyncio
import os
import signal
import time

from arena import Arena
from network import CLIENTS
from node import NUMBERS, Node
from sql import Sql, SqlError

NEXT_SEGMENT = "SELECT pg_logical_emit_message(false, 'chaos', 'x'), pg_switch_wal()"


async def switchover(arena: Arena, primary: Node) -> None:
    """Patroni hands the primary over, as it is asked to."""
    began = time.time()
    answer = await arena.trio.post(primary, "/switchover", leader=primary.name)
    arena.expect(answer.startswith("200"), f"Patroni refused: {answer}")
    await arena.trio.promoted(began, but=primary)


async def postmaster(arena: Arena, primary: Node) -> None:
    """SIGKILL to the primary's postmaster. Patroni starts it again, or promotes a standby."""
    began = time.time()
    await primary.run("kill", "-KILL", str(primary.postmaster))
    await arena.trio.promoted(began)


async def node(arena: Arena, primary: Node) -> None:
    """The primary's machine loses its power: PostgreSQL, Patroni and etcd are gone at once. It comes back after the
    promotion."""
    began = time.time()
    await primary.kill()
    await replaced(arena, primary, began)


async def replaced(arena: Arena, primary: Node, began: float) -> None:
    """Waits until another node is the primary, and starts the dead one again."""
    await arena.trio.promoted(began)
    await arena.pause(0, 5)
    await arena.trio.network.heal()
    await primary.start(primary.clock)


async def patroni(arena: Arena, primary: Node) -> None:
    """Patroni alone is killed or stopped on the primary. So nothing fences the old primary, and it keeps taking connections."""
    began, how = time.time(), arena.turn(signal.SIGKILL, signal.SIGSTOP)
    primary.signal(primary.patroni, how)
    await arena.trio.promoted(began, but=primary)
    arena.expect(primary in await arena.trio.primaries(), f"{primary.name} does not take writes any more")
    arena.say(f"{how.name}: {primary.name} still takes writes")
    await arena.pause(5, 25)
    if how == signal.SIGKILL:
        await primary.start_patroni()
    else:
        primary.signal(primary.patroni, signal.SIGCONT)


async def etcd(arena: Arena, primary: Node) -> None:
    """etcd is killed on the primary's machine, or on two machines: then there is no quorum, and Patroni demotes the primary."""
    others = [other for other in arena.trio.nodes if other is not primary]
    killed = {"its own": [primary], "another": others[:1], "both others": others, "its own and another": [primary, others[0]]}[
        arena.turn("its own", "another", "both others", "its own and another")]
    began = time.time()
    for each in killed:
        each.signal(each.etcd, signal.SIGKILL)
        await each.etcd.ended()
    arena.say(f"no etcd on {', '.join(each.name for each in killed)}")
    if len(killed) > 1:
        await arena.until(lambda: demoted(arena), "without a quorum the primary was not demoted")
    await arena.pause(3, 15)
    for each in killed:
        await each.start_etcd()
    if len(killed) > 1:
        await arena.trio.promoted(began)


async def demoted(arena: Arena) -> bool:
    return not await arena.trio.primaries()


async def cut(arena: Arena, primary: Node, outward: bool, inward: bool) -> None:
    began = time.time()
    others = [number for number in NUMBERS if number != primary.number]
    await arena.trio.network.cut(primary.number, others, outward, inward)
    await arena.trio.promoted(began, but=primary)
    await arena.pause(2, 15)


async def cut_both(arena: Arena, primary: Node) -> None:
    """The primary is cut from etcd and from its standbys, and not from otpd."""
    await cut(arena, primary, True, True)


async def cut_out(arena: Arena, primary: Node) -> None:
    """One way: etcd and the standbys hear nothing from the primary, which hears them. otpd reaches all."""
    await cut(arena, primary, True, False)


async def cut_in(arena: Arena, primary: Node) -> None:
    """The other way: the primary hears nothing from etcd and the standbys, which hear it. otpd reaches all."""
    await cut(arena, primary, False, True)


async def freeze(arena: Arena, primary: Node) -> None:
    """SIGSTOP to all processes of the primary's machine, or to PostgreSQL's alone; SIGCONT once another server is the
    primary."""
    began, alone = time.time(), arena.turn(False, True)
    if alone:
        script = "p=$(head -n 1 /pg/data/postmaster.pid); kill -STOP $p; kill -STOP $(cat /proc/$p/task/$p/children); echo $p"
        leader = (await primary.run("bash", "-c", script)).strip()
    else:
        await primary.freeze()
    arena.say("PostgreSQL stands still" if alone else f"{primary.name} stands still")
    await arena.trio.promoted(began, but=primary)
    await arena.pause(0, 10)
    if alone:
        await primary.run("bash", "-c", f"kill -CONT $(cat /proc/{leader}/task/{leader}/children) {leader}")
    else:
        await primary.thaw()


async def disk_full(arena: Arena, primary: Node) -> None:
    """The primary's disk is full: tables cannot grow, or there is no room for WAL and PostgreSQL ends. Patroni promotes a
    standby then, or keeps a primary that refuses all connections: in that case everything waits for the operator."""
    began, for_wal = time.time(), arena.turn(False, True)
    ballast = f"{primary.disk}/ballast"
    # A new connection might be refused later.
    sql = await Sql.connect(5432, host=primary.sockets)
    await sql(NEXT_SEGMENT)
    try:
        await asyncio.to_thread(fill, ballast)
        arena.say(f"no room {'for WAL' if for_wal else 'in tables'}")
        if for_wal:
            await use_segments(arena, sql)
            try:
                await arena.trio.promoted(began, seconds=45)
            except RuntimeError:
                arena.say(f"Patroni keeps {primary.name}")
        else:
            await arena.until(lambda: refuses(arena), "the backend never met the full disk", 60)
        await arena.pause(5, 15)
    finally:
        sql.close()
        os.unlink(ballast)
    if for_wal:
        await arena.trio.promoted(began)


async def use_segments(arena: Arena, sql: Sql) -> None:
    """Begins new segments of WAL until PostgreSQL ends, because those in reserve would last for minutes."""
    for _ in range(100):
        try:
            await asyncio.wait_for(sql(NEXT_SEGMENT), 60)
        except SqlError as failure:
            arena.say(f"{failure}")
            if failure.sqlstate[:2] == "57":
                return
        except (OSError, asyncio.IncompleteReadError):
            return
    arena.expect(False, "PostgreSQL survived without room for WAL")


def fill(ballast: str) -> None:
    """Takes all that is left of a disk."""
    with open(ballast, "wb") as file:
        end, size = 0, 1 << 28
        while size >= 4096:
            try:
                os.posix_fallocate(file.fileno(), end, size)
                end += size
            except OSError:
                size //= 2


async def refuses(arena: Arena) -> bool:
    return arena.backend.full > 0


async def clocks(arena: Arena, primary: Node) -> None:
    """The clocks of the machines are up to 8 s apart, and the primary's machine loses its power. It comes back with another
    clock."""
    began = time.time()
    await primary.kill()
    promotion = await arena.trio.promoted(began)
    arena.say(f"the clock jumped by {promotion.node.clock - primary.clock:+} s")
    await arena.pause(0, 5)
    await arena.trio.network.heal()
    others = [other.clock for other in arena.trio.nodes if other is not primary]
    await primary.start(arena.random.choice([off for off in range(-4, 5) if off != 0 and off not in others]))


async def both(arena: Arena, primary: Node) -> None:
    """The primary's machine and every otpd are lost at the same moment. The otpd start again at once, as under systemd."""
    began = time.time()
    await asyncio.gather(primary.kill(), *[daemon.kill() for daemon in arena.daemons])
    for daemon in arena.daemons:
        await daemon.start()
    await replaced(arena, primary, began)


async def lossy(arena: Arena, primary: Node) -> None:
    """All links delay frames by up to 150 ms and lose up to one in ten. Meanwhile the primary's postmaster is killed, or
    Patroni is asked to hand the primary over."""
    network, everyone = arena.trio.network, [*NUMBERS, CLIENTS]
    for source in everyone:
        for target in everyone:
            if source != target:
                await network.rule(source, target, delay=arena.random.uniform(0, 0.1), jitter=arena.random.uniform(0, 0.05),
                                   loss=arena.random.uniform(0, 0.1))
    await arena.pause(5, 15)
    began = time.time()
    if arena.turn(False, True):
        await primary.run("kill", "-KILL", str(primary.postmaster))
        await arena.trio.promoted(began)
    else:
        try:
            arena.say(await arena.trio.post(primary, "/switchover", leader=primary.name))
        except (OSError, asyncio.TimeoutError, IndexError) as failure:
            arena.say(f"Patroni's answer is lost: {type(failure).__name__}")
    await arena.pause(5, 15)


ALL = {
    "switchover": switchover, "postmaster": postmaster, "node": node, "patroni": patroni, "etcd": etcd, "cut-both": cut_both,
    "cut-out": cut_out, "cut-in": cut_in, "freeze": freeze, "disk-full": disk_full, "clocks": clocks, "both": both,
    "lossy": lossy,
}


def first_clocks(name: str, arena: Arena) -> list[int]:
    """How far the clocks of the machines are ahead at the beginning."""
    return [-4, 0, 4] if name == "clocks" else [0, 0, 0]
