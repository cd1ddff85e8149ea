"""Arbitrary-scale latent diffusion at the published sizes, by an argument.

    C=configs/arbscale_images.py
    python -m jmim.main --config=$C:autoencoder=AE --workdir=W \
      --config.data.data_dir=IMAGES
    python -m jmim.main --config=$C:stage=align,autoencoder=AE,start=W \
      --workdir=W2 --config.data.data_dir=IMAGES \
      --config.method.first_stage.scale=S
    python -m jmim.main --mode=sample --workdir=W2 --num=1000 \
      --config.method.first_stage.implicit.side=512

AE is a run of autoencoder_inr_images, S is `latent_scale` in the log of W.

Evaluated: errors, samples and, shown an image at low resolution, PSNR and SSIM
of what is made of it (`--config.evals.restoration.lpips=FILE`: LPIPS).

Arguments: model=ffhq (256 px), div2k (192 px, shown a fourth of the side),
faces (16 -> 128 px); stage=diffusion (align), autoencoder=, start= (a run of
diffusion), steps=0 (0: 500000; align: 50000), batch=64.

Reference: none looked up. The authors' batch is 8 (4 at 256 px) with a fixed
rate of 1e-6; here that is per image of the batch. The UNet of faces is theirs;
those of the others are LDM's of faces, a reconstruction.

Size: 274 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

# Side, channels of the latents, variant, reduction of the condition (0: none).
MODELS = {
  "ffhq": (256, 3, "ae-f4", 0),
  "div2k": (192, 3, "ae-f4", 4),
  "faces": (128, 32, "kl-f4-z32", 8),
}
LDM_FACES = dict(width=224, multipliers=(1, 2, 3, 4), attend_at=(8, 4, 2))
FACES = dict(width=256, multipliers=(1, 2, 4, 4), attend_at=(4, 2, 1))
DEFAULTS = dict(model="ffhq", stage="diffusion", autoencoder="", start="")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, **DEFAULTS, steps=0, batch=64)
  choices.check(arg, model=MODELS, stage=("diffusion", "align"))
  side, channels, variant, reduction = MODELS[arg.model]
  align = arg.stage == "align"
  config = configs.base()
  config.data.update(
    name="folder",
    batch=arg.batch,
    size=side,
    host_crop="resized" if arg.model == "div2k" else "center",
    crop_scale=(0.02, 0.2),  # of 2 megapixels: squares of 200 pixels and more
    crop_ratio=(1.0, 1.0),
    eval_crop="center",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.arbscale",
    size=side // 4,
    channels=channels,
    dims=configs.section(
      **(FACES if arg.model == "faces" else LDM_FACES), heads=0
    ),
    first_stage=configs.section(variant=variant, path=arg.autoencoder),
    condition=dict(task="lowres", reduction=reduction) if reduction else {},
    align=align,
    pixels=configs.section(count=4096),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=1e-6, lr_batch=1, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.9999
  steps = arg.steps or (50_000 if align else 500_000)
  config.train.update(total_steps=steps, checkpoint_steps=10_000, log_steps=100)
  every = dict(every_steps=10_000, weights="ema")
  config.evals.errors = dict(type="mean", limit=2048, **every)
  config.evals.samples = dict(type="samples", examples=16, **every)
  if reduction:
    config.evals.restoration = dict(type="restoration", limit=256, **every)
  return config
