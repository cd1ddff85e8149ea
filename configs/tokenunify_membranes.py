"""TokenUnify on procedural volumes of cells with membranes.

Data: `membranes/small`, made on first use without a download; crops of
8 x 40 x 40 voxels, 100 tokens of 2 x 8 x 8.

    python -m jmim.main --config=configs/tokenunify_membranes.py --workdir=W

Arguments: steps=400, tasks=mixture (random, next: one task alone).

Shown: the error of tokens rolled out from the first 25 (near and far end), the
probe that finds membranes, and volumes that were continued.

Size: 0.0725 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

WEIGHTS = {"random": (1.0, 0.0, 0.0), "next": (0.0, 1.0, 0.0)}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=400, tasks="mixture")
  choices.check(arg, tasks=("mixture", *WEIGHTS))
  config = configs.base()
  config.data.update(
    name="membranes/small", batch=8, volume=(8, 40, 40), flip=True
  )
  alone = arg.tasks in WEIGHTS
  config.method = configs.section(
    type="mim.tokenunify",
    shape=(8, 40, 40),
    patch=(2, 8, 8),
    dims=dict(widths=(8, 16), depths=(1, 1), hidden=32, slices=5),
    mixture=dict(
      name="fixed" if alone else "curriculum",
      weights=WEIGHTS.get(arg.tasks, (1.0, 1.0, 1.0)),
      steps=arg.steps,
    ),
    rollout=dict(start=25, last=25),
  )
  config.optim.update(lr=3e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_share=0.05)
  config.train.update(total_steps=arg.steps, checkpoint_steps=200, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss"),
    rollout=configs.section(type="mean", predict="rollout", limit=16),
    voxels=configs.section(type="voxels"),
    samples=configs.section(type="samples", examples=8, columns=2),
  )
  return config
