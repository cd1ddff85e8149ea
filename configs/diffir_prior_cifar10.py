"""DiffIR's first stage on CIFAR-10: blur along a line, a gain per channel.

    python -m jmim.main --config=configs/diffir_prior_cifar10.py --workdir=W1 \
      --config.data.data_dir=DIR

Arguments: vector=images (constant: the baseline, told the same of all images),
steps=1000. The evaluators `restoration` and `permuted` draw the same images,
restored by their own vectors and by those of their neighbours. The second stage
is configs/diffir_cifar10.py; `python -m jmim.tools.claim diffir` compares.

Size: 0.905 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, vector="images", steps=1000)
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
    type="restore.diffir_prior",
    size=32,
    dims=dict(width=16, blocks=(1, 1, 1, 1), refinement=1),
    prior=dict(width=16, blocks=2),
    degraded=dict(degradation="motion", factor=1),
    vector=arg.vector,
  )
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="cosine", warmup_steps=20, min_lr=1e-6)
  config.ema.decay = 0.99
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  seen = dict(type="restoration", weights="ema", limit=1000)
  config.evals = configs.section(
    restoration=configs.section(**seen),
    permuted=configs.section(**seen, predict="permuted"),
  )
  return config
