"""The other models of the LDM paper at 256 x 256, by name.

    python -m jmim.main --config=configs/ldm_images.py:model=churches \
      --workdir=W --config.data.name=folder --config.data.data_dir=IMAGES \
      --config.method.first_stage_path=RUN

RUN is the first stage: a run of autoencoder_kl_imagenet or _vq_imagenet, or
published weights (`python -m jmim.convert --from=ldm_first_stage`).

Arguments: model=faces (CelebA-HQ, FFHQ, Bedrooms), churches, inpainting,
superres, semantic (examples need a map "segmentation"); steps=500000, batch=48.

Reference (the authors'; not repeated here; FID): CelebA-HQ 5.11, FFHQ 4.98,
Bedrooms 2.95, Churches 4.02, inpainting of Places 1.50, super-resolution 2.8
(the last two as remembered, not looked up).
"""

from jmim.core import config as configs

VQ = dict(
  first_stage="vq-f4",
  first_stage_codes=8192,
  size=64,
  channels=3,
  latent_scale=1.0,
)
MODELS = {
  "faces": VQ
  | dict(width=224, multipliers=(1, 2, 3, 4), attend_at=(8, 4, 2), heads=0),
  "churches": dict(
    first_stage="kl-f8",
    size=32,
    channels=4,
    latent_scale=0.0,
    width=192,
    multipliers=(1, 2, 2, 4, 4),
    attend_at=(1, 2, 4, 8),
    heads=8,
    scale_shift=True,
    updown=True,
    error="l1",
    beta_end=0.0155,
  ),
  "inpainting": VQ
  | dict(
    task="inpaint",
    width=256,
    multipliers=(1, 2, 3, 4),
    attend_at=(8, 4, 2),
    heads=8,
    updown=True,
    error="l1",
    beta_end=0.0205,
  ),
  "superres": VQ
  | dict(
    task="superres",
    width=160,
    multipliers=(1, 2, 2, 4),
    attend_at=(16, 8),
    heads=0,
    beta_end=0.0155,
  ),
  "semantic": VQ
  | dict(
    task="semantic",
    width=128,
    multipliers=(1, 4, 8),
    attend_at=(32, 16, 8),
    heads=8,
    error="l1",
    beta_end=0.0205,
  ),
}
RATES = {"churches": 5e-5}  # in total; the others per image of the batch


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, model="faces", steps=500_000, batch=48)
  config = configs.base()
  config.data.update(
    name="folder",
    batch=arg.batch,
    size=256,
    host_crop="center",
    eval_crop="center",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.ldm", read="images", steps=200, **MODELS[arg.model]
  )
  rate = RATES.get(arg.model)
  config.optim.update(
    lr=rate or 2e-6, lr_batch=0 if rate else 1, b2=0.999, weight_decay=0.01
  )
  config.schedule.update(name="constant", warmup_steps=10_000 if rate else 0)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    samples=configs.section(type="samples", weights="ema", every_steps=10_000)
  )
  return config
