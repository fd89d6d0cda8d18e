"""Scenario: otpd of one version and of the version before it, in every order, under 100 jobs a second."""
import os

from cluster import Cluster
from operators import RATE, arrived, open_stage, under_load
from process import output

STEP = 3        # seconds of load after each step


async def upgrade(stage):
    """From the otpd of --older to this one and back. The schema goes first, then the programs do. Workers never stop together."""
    older, newer = stage.house.older, stage.house.binaries
    stage.expect(older, "name the folder of the older otpd with --older (make test-upgrade FROM=REVISION builds it)")
    stage.binaries = older
    await open_stage(stage, template=await Cluster.template(os.path.join(stage.house.folder, "older"), f"{older}/otpd"))
    sql = await stage.sql()

    async def schema():
        return int(await sql.value("SELECT max(version) FROM otp.schema_migrations"))

    async def passed(words):
        """Codes have arrived for a while after the step."""
        stage.note(words)
        await arrived(stage, (await stage.simulator.stats())["creates"] + STEP * RATE)

    async def migrate(*arguments):
        await output([f"{newer}/otpd", "migrate", *arguments], dict(os.environ, DATABASE_URL=stage.cluster.url("postgres")))
        await passed(f"migrate {' '.join(arguments)}: the schema has {await schema()} migrations")

    async def install(binaries, words):
        """One host after the other."""
        for worker in stage.workers:
            worker.binaries = binaries
            code = await worker.terminate()
            stage.expect(code == 0, f"{worker.name} ended with {code}")
            await worker.start()
            await passed(f"{worker.name} is {words}")

    first = await schema()
    async with under_load(stage):
        await migrate("up")
        last = await schema()
        await install(newer, "newer")
        await install(older, "older, on the newer schema")
        await migrate("down", "--to", str(first), "--yes")
        await install(newer, "newer, on the older schema")
        await migrate("up")
    sql.close()
    stage.figures.append(f"schema {first} → {last} → {first} → {last}, {3 * len(stage.workers)} workers replaced")
