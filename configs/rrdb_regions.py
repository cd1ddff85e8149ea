"""RRDB on regions of 24 px from 6: what sam_diffsr_regions reads.

    python -m jmim.main --config=configs/rrdb_regions.py --workdir=R

Arguments: steps=1000.

Size: 0.759 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
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
    type="restore.rrdb",
    size=24,
    dims=configs.section(width=32, growth=16, blocks=4),
  )
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    restoration=configs.section(type="restoration", limit=1000)
  )
  return config
