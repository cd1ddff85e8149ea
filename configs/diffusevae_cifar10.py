"""DiffuseVAE on CIFAR-10, both stages, at the published size.

Data: TFDS `cifar10` as ArrayRecord in --config.data.data_dir.

    R=configs/diffusevae_cifar10.py
    python -m jmim.main --config=$R:stage=vae --workdir=V
    python -m jmim.tools.fit_codes --config=$R:stage=vae --workdir=V \
      --out=prior.npz --components=50
    python -m jmim.main --config=$R:vae=V,prior=prior.npz,components=50 \
      --workdir=W
    python -m jmim.main --mode=sample --workdir=W --num=50000 --sampler=ddpm

Arguments: stage=refiner (vae), vae= (its run), form=1 (2), code=False,
drop=0.0, prior=, components=10, epochs=0.0 (0: 500 of the VAE, 2850 of the
refiner), inception= and reference= (of `tools.inception_npz` and
`tools.make_fid_stats`: FID of 50000 samples, in the steps of
`method.sampling`).

Reference (the authors'; not repeated here; FID): 2.62 in 1000 steps with a
mixture, as remembered. The total batch of the refiner is from memory, too.

Size: 34.4 M parameters.
Time: not measured.
Expect: FID 2.62 in 1000 steps (the authors', from memory; not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs

ARGUMENTS = dict(stage="refiner", vae="", form=1, code=False, drop=0.0)
FILES = dict(inception="", reference="")


def get_config(arg: str | None = None):
  more = dict(prior="", components=10, epochs=0.0, **FILES)
  arg = configs.parse_arg(arg, **ARGUMENTS, **more)
  choices.check(arg, stage=("vae", "refiner"))
  first = arg.stage == "vae"
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    flip=not first,
    mean=(0.0, 0.0, 0.0) if first else (0.5, 0.5, 0.5),
    std=(1.0, 1.0, 1.0) if first else (0.5, 0.5, 0.5),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(checkpoint_steps=10_000, log_steps=100)
  config.train.total_epochs = arg.epochs or (500.0 if first else 2850.0)
  if first:
    config.method = configs.section(type="latent.diffusevae_vae", size=32)
    config.evals = configs.section(
      errors=configs.section(type="mean", every_steps=10_000),
      restoration=configs.section(type="restoration", limit=1024),
    )
    return config
  vae = dict(path=arg.vae, form=arg.form, code=arg.code, drop=arg.drop)
  config.method = configs.section(
    type="latent.diffusevae",
    size=32,
    coarse=configs.section(**vae),
    prior=configs.section(path=arg.prior, components=arg.components),
    dims=configs.section(
      width=128,
      multipliers=(1, 2, 2, 2),
      attend_at=(16,),  # a factor of the side: only the middle attends
      heads=8,
      dropout=0.3,
      scale_shift=arg.code,
    ),
  )
  config.optim.update(lr=2e-4, clip_norm=1.0)
  config.schedule.warmup_steps = 5000
  config.ema.decay = 0.9999
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=10_000, limit=2048),
    samples=configs.section(type="samples", weights="ema", every_steps=10_000),
  )
  if arg.inception:
    files = {name: arg[name] for name in FILES}
    config.evals.fid = dict(type="fid", weights="ema", **files)
  return config
