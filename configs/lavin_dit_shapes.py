"""LaVin-DiT at 16 px: six tasks told by four pairs of pictures.

    python -m jmim.main --config=configs/lavin_dit_shapes.py --workdir=W
    python -m jmim.main --mode=eval --workdir=W \
      --config.method.tasks.task=invert

Sets of five pictures that have nothing to do with each other: four become
pairs of a task that is drawn in each step, the fifth its query. Tokens are
patches of 4 pixels, 160 of them. Nothing guides here: `errors` are squared, and
the mean of all answers has the least.

`errors/right` over `errors/wrong`: is the task read from the pairs?
`errors/pairs_1`: with one pair; `errors/new` over `errors/new_copy`: of
pictures whose two colours were never seen together. `tasks` has each task
alone, also those that were held out. `solved` draws pairs, query, answer and
truth: of every task in turn, or of the one that the second command asks for.

Arguments: steps=2500, kv_group=2 (1: plain attention), pairs=4 (at most 4),
drop=0.1.

Size: 1.17 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

TRAINED = ("identity", "invert", "flip", "edges", "mask", "inpaint")
HELD_OUT = ("roll", "transpose")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=2500, kv_group=2, pairs=4, drop=0.1)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="shapes/sets",
    batch=32,
    size=16,
    frames=arg.pairs + 1,
    stride=1,
    flip=False,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="latent.lavin_dit",
    size=16,
    channels=3,
    dims=configs.section(
      width=96, depth=4, heads=8, kv_group=arg.kv_group, patch=4
    ),
    tasks=configs.section(trained=TRAINED, held_out=HELD_OUT, new=True),
    context=configs.section(pairs=arg.pairs, least=1, drop=arg.drop),
    sampling=configs.section(guidance=1.0, clip=1.0),
  )
  config.optim.update(lr=1e-3, b2=0.99, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean", weights="ema", limit=256),
    tasks=configs.section(
      type="mean", predict="by_task", weights="ema", limit=64
    ),
    solved=configs.section(
      type="samples", predict="solved", weights="ema", examples=16
    ),
  )
  return config
