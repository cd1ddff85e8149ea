"""SAM-DiffSR on regions of 24 px from 6, and SRDiff beside it.

    python -m jmim.main --config=configs/rrdb_regions.py --workdir=R
    C=configs/sam_diffsr_regions.py
    python -m jmim.main --config=$C:rrdb=R --workdir=W
    python -m jmim.main --config=$C:rrdb=R,map=none --workdir=S
    python -m jmim.tools.draw_outputs --workdir=W --out=regions.png \
      --signed=map,noise,mean --mean=mean input=restore/input map=regions/map \
      noise=regions/noise mean=regions/noise image=restore/image \
      target=restore/target

Arguments: rrdb= (a run of rrdb_regions), map=ids (none: SRDiff), steps=1500.
`python -m jmim.tools.claim sam_diffsr` compares.

Size: 0.142 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, rrdb="", map="ids", steps=1500)
  config = configs.base()
  config.data.update(
    name="regions/voronoi",
    batch=32,
    size=24,
    flip=False,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
  )
  config.method = configs.section(
    type="restore.sam_diffsr",
    size=24,
    dims=configs.section(width=16, multipliers=(1, 2)),
    small=configs.section(
      dims=configs.section(width=32, growth=16, blocks=4), path=arg.rrdb
    ),
    noise=configs.section(times=20),
    sampling=configs.section(steps=20),
    structure=configs.section(read=arg.map, regions=9),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    restoration=configs.section(type="restoration", limit=1000),
    errors=configs.section(type="mean", limit=1000),
  )
  return config
