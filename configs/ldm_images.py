"""The other models of the LDM paper at 256 x 256, by name.

    python -m jmim.main --config=configs/ldm_images.py:model=churches \
      --workdir=W --config.data.name=folder --config.data.data_dir=IMAGES \
      --config.method.first_stage.path=RUN

RUN is the first stage: a run of autoencoder_kl_imagenet or _vq_imagenet, or
published weights (`python -m jmim.convert --from=ldm_first_stage`).

Arguments: model=faces (CelebA-HQ, FFHQ, Bedrooms), churches, inpainting,
superres, semantic (examples need a map "segmentation"); steps=500000, batch=48.

Reference (the authors'; not repeated here; FID): CelebA-HQ 5.11, FFHQ 4.98,
Bedrooms 2.95, Churches 4.02, inpainting of Places 1.50, super-resolution 2.8
(the last two as remembered, not looked up).

Size: 274 M parameters.
Time: not measured.
Expect: the authors' FID of CelebA-HQ, not repeated: 5.11.
"""

from jmim.core import choices
from jmim.core import config as configs

VQ = dict(variant="vq-f4", codes=8192, scale=1.0)
NAMES = ("width", "multipliers", "attend_at", "heads")
DIMS = {
  "faces": (224, (1, 2, 3, 4), (8, 4, 2), 0),
  "churches": (192, (1, 2, 2, 4, 4), (1, 2, 4, 8), 8),
  "inpainting": (256, (1, 2, 3, 4), (8, 4, 2), 8),
  "superres": (160, (1, 2, 2, 4), (16, 8), 0),
  "semantic": (128, (1, 4, 8), (32, 16, 8), 8),
}
TASKS = {
  "inpainting": "inpaint",
  "superres": "superres",
  "semantic": "semantic",
}
BETA_END = {"faces": 0.0195, "churches": 0.0155, "superres": 0.0155}
RATES = {"churches": 5e-5}  # in total; the others per image of the batch


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, model="faces", steps=500_000, batch=48)
  choices.check(arg, model=DIMS)
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
  dims = dict(zip(NAMES, DIMS[arg.model], strict=True))
  kl = arg.model == "churches"
  config.method = configs.section(
    type="latent.ldm",
    size=32 if kl else 64,
    channels=4 if kl else 3,
    dims=configs.section(
      **dims, scale_shift=kl, updown=arg.model in ("churches", "inpainting")
    ),
    first_stage=dict(variant="kl-f8", scale=0.0) if kl else VQ,
    noise=configs.section(beta_end=BETA_END.get(arg.model, 0.0205)),
    condition=configs.section(task=TASKS.get(arg.model, "none")),
    sampling=configs.section(steps=200),
    error="l2" if arg.model in ("faces", "superres") else "l1",
  )
  config.method.first_stage.read = "images"
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
