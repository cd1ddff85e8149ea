"""A small UNet on points of two subspaces, with EDM: what its Jacobian keeps.

    python -m jmim.main --config=configs/subspace_unet_molrg.py --workdir=W

Arguments: data=k2d3 (see `jmim.data.builders.molrg`), steps=2000, width=32.
The published size is `subspace_unet_published`.

Size: 0.917 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data.builders import molrg


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, data="k2d3", steps=2000, width=32)
  choices.check(arg, data=molrg.CONFIGS)
  config = configs.base()
  config.data.update(
    name=f"molrg/{arg.data}",
    eval_split="test",
    batch=128,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="theory.subspace_unet",
    dims=configs.section(
      width=arg.width, multipliers=(2, 2), blocks=1, dropout=0.0
    ),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_share=0.1)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    errors=configs.section(type="mean", weights="ema"),
    jacobian=configs.section(type="jacobian", weights="ema", examples=8),
    novelty=configs.section(type="novelty", weights="ema", of="vector"),
  )
  return config
