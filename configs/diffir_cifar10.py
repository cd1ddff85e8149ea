"""DiffIR's second stage on CIFAR-10: two runs, after one of the first stage.

    C=configs/diffir_cifar10.py
    python -m jmim.main --config=configs/diffir_prior_cifar10.py --workdir=W1 \
      --config.data.data_dir=DIR
    python -m jmim.main --config=$C:stage=condition,first=W1 --workdir=W2 \
      --config.data.data_dir=DIR
    python -m jmim.main --config=$C:first=W1,start=W2 --workdir=W3 \
      --config.data.data_dir=DIR

Arguments: stage=joint (condition: the restorer stays as it is), first= (a run
of the first stage), start= (what joint begins with, a run of condition),
steps=0 (0: 500; of condition 300). The evaluators `restoration` and `permuted`
draw the same images, restored by their own vectors and by those of their
neighbours. `python -m jmim.tools.claim diffir` compares.

Size: 0.911 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

STEPS = {"condition": 300, "joint": 500}
FRESH = ("^main/condition/", "^main/denoiser/")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, stage="joint", first="", start="", steps=0)
  choices.check(
    arg,
    "correct it; the first stage is configs/diffir_prior_cifar10.py",
    stage=STEPS,
  )
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=32,
    size=32,
    turn=True,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
  )
  config.method = configs.section(
    type="restore.diffir",
    size=32,
    dims=dict(width=16, blocks=(1, 1, 1, 1), refinement=1),
    prior=dict(width=16, blocks=2),
    degraded=dict(degradation="motion", factor=1),
    first=dict(path=arg.first),
    stage=arg.stage,
  )
  config.init_from.path = arg.start
  if arg.stage == "condition":
    config.init_from.update(
      path=arg.first, weights="ema", skip=("^main/encoder/",), reinit=FRESH
    )
  config.optim.update(lr=5e-4, b2=0.99, weight_decay=0.0)
  config.schedule.update(name="cosine", warmup_steps=20, min_lr=1e-6)
  config.ema.decay = 0.99
  config.train.update(
    total_steps=arg.steps or STEPS[arg.stage], checkpoint_steps=500
  )
  seen = dict(type="restoration", weights="ema", limit=1000)
  config.evals = configs.section(
    restoration=configs.section(**seen),
    permuted=configs.section(**seen, predict="permuted"),
    errors=configs.section(type="mean", weights="ema", limit=1000),
  )
  return config
