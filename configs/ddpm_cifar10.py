"""DDPM on CIFAR-10 with a UNet, conditional on the class.

Data: TFDS `cifar10` as ArrayRecord in --config.data.data_dir.

    python -m jmim.main --config=configs/ddpm_cifar10.py --workdir=runs/ddpm \
      --config.data.data_dir=DIR
    ... --config.method.noise.schedule=cosine --config.method.prediction=v
    python -m jmim.main --mode=sample --config=configs/ddpm_cifar10.py \
      --workdir=runs/ddpm --config.data.data_dir=DIR --sampler=unipc --steps=20

Arguments: steps=800000, width=128, classes=10 (0: unconditional).

Reference (original papers, unconditional, FID): DDPM 3.17, DDIM 50 steps 4.67,
DDIM 10 steps 13.36. Not run here to its end.

Size: 35.8 M parameters.
Time: not measured.
Expect: the authors' FID without classes, not repeated: 3.17.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=800_000, width=128, classes=10)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.ddpm",
    size=32,
    dims=configs.section(
      width=arg.width, multipliers=(1, 2, 2, 2), attend_at=(2,)
    ),
    labels=configs.section(classes=arg.classes),
    noise=configs.section(schedule="linear"),
  )
  config.optim.update(lr=2e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=5000)
  config.ema.decay = 0.9999
  config.train.update(total_steps=arg.steps, checkpoint_steps=10_000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=2048),
    samples=configs.section(type="samples", weights="ema", every_steps=10_000),
  )
  return config
