"""Autoencoder with an implicit decoder at the published sizes, by an argument.

    python -m jmim.main --config=configs/autoencoder_inr_images.py \
      --workdir=AE --config.data.data_dir=IMAGES

Arguments: model=ffhq (256 px, codes 64 x 64 x 3), div2k (192 px crops, 48 x 48
x 3), faces (128 px, 32 x 32 x 32 with a posterior); steps=500000, batch=64.

Reference: none looked up. The authors' batch is 8 (4 at 256 px) with a fixed
rate of 4.5e-6; here that is per image of the batch. Their faces also ask for
attention at side 16, which no level of 128 pixels has.

Size: 52.6 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

# Side and variant.
MODELS = {
  "ffhq": (256, "ae-f4"),
  "div2k": (192, "ae-f4"),
  "faces": (128, "kl-f4-z32"),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, model="ffhq", steps=500_000, batch=64)
  choices.check(arg, model=MODELS)
  side, variant = MODELS[arg.model]
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
    type="latent.autoencoder_inr",
    size=side,
    dims=configs.section(variant=variant),
    pixels=configs.section(count=4096, sides=(side // 4, side)),
  )
  config.optim.update(lr=4.5e-6, lr_batch=1, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=10_000, limit=1024),
    restoration=configs.section(
      type="restoration", every_steps=10_000, limit=1024
    ),
  )
  return config
