"""DiffuseVAE on the plain 8 x 8 digits, and plain DDPM beside it.

    python -m jmim.main --config=configs/diffusevae_vae_digits.py --workdir=V
    python -m jmim.main --config=configs/diffusevae_digits.py:vae=V,form=2 \
      --workdir=W
    python -m jmim.main --config=configs/diffusevae_digits.py:stage=plain \
      --workdir=P
    python -m jmim.main --mode=sample --workdir=W --num=100 --steps=10

Arguments: stage=refiner (plain: the same UNet without a condition), vae= (the
run of the first stage), form=1 (2), code=False (True: the code is added to the
time), drop=0.0 (share of steps without condition, for --guidance), prior= (file
of jmim.tools.fit_codes; empty: N(0, I)), components=3 (of it), steps=3000.
`python -m jmim.tools.claim diffusevae` compares.

Size: 0.651 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

WIDTHS = "8:32,4:64,1:16"
VAE = dict(
  encoder="8x1,8d2,8t4,4d4,4t1,1x1",
  encoder_widths=WIDTHS,
  decoder="1x1,1u4,1t4,4x1,4u2,4t8,8x1",
  decoder_widths=WIDTHS,
)
ARGUMENTS = dict(stage="refiner", vae="", form=1, code=False, drop=0.0)
# By factors of the side: only the middle attends.
DIMS = dict(width=32, multipliers=(1, 2), blocks=1, attend_at=(16,), heads=1)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, **ARGUMENTS, prior="", components=3, steps=3000)
  choices.check(
    arg,
    "correct it; the VAE is configs/diffusevae_vae_digits.py",
    stage=("refiner", "plain"),
  )
  config = configs.base()
  config.data.update(
    name="digits/plain",
    batch=64,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  shared = dict(
    size=8,
    dims=configs.section(**DIMS, dropout=0.0, scale_shift=arg.code),
    noise=configs.section(spacing="stride", variance="large"),
    sampling=configs.section(sampler="ddim", steps=50),
  )
  vae = dict(path=arg.vae, form=arg.form, code=arg.code, drop=arg.drop)
  if arg.stage == "plain":
    config.method = configs.section(type="diffusion.ddpm", channels=1, **shared)
  else:
    config.method = configs.section(
      type="latent.diffusevae",
      coarse=configs.section(dims=configs.section(**VAE), channels=1, **vae),
      prior=configs.section(path=arg.prior, components=arg.components),
      **shared,
    )
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=1000),
    samples=configs.section(type="samples", weights="ema"),
  )
  if arg.stage == "refiner":
    seen = configs.section(type="samples", weights="ema", predict="condition")
    config.evals.conditions = seen
  return config
