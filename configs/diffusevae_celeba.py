"""DiffuseVAE on faces: CelebA at 64, CelebA-HQ at 256 pixels, both stages.

    R=configs/diffusevae_celeba.py
    python -m jmim.main --config=$R:stage=vae --workdir=V \
      --config.data.name=folder --config.data.data_dir=IMAGES
    python -m jmim.main --config=$R:vae=V --workdir=W ...

Arguments: model=hq256 (celeba64), stage=refiner (vae), vae= (its run), form=1
(2), code=False, drop=0.0, prior=, components=10, inception=, reference= (FID).

Reference (the authors'; not repeated here; FID): CelebA-HQ 128 in 10 steps
16.47; CelebA-64 3.97, as remembered. Of the block strings the first and last
widths are known (64:64, 32:128, 16:256; 1:1024 at 256); the rest is ours.

Size: 114 M parameters.
Time: not measured.
Expect: the authors' FID of CelebA-HQ in 10 steps, not repeated: 16.47.
"""

from jmim.core import choices
from jmim.core import config as configs

DOWN = "32x3,32d2,32t16,16x7,16d2,16t8,8x4,8d2,8t4,4x3,4d4,4t1,1x3"
UP = "1x1,1u4,1t4,4x3,4u2,4t8,8x4,8u2,8t16,16x7,16u2,16t32,32x3"
# Side, widths, strings before DOWN and after UP; multipliers, rate, batches.
MODELS = {
  "celeba64": (
    64,
    "64:64,32:128,16:256,8:256,4:256,1:512",
    ("64x3,64d2,64t32", "32u2,32t64,64x3"),
    ((1, 2, 2, 2, 4), 2e-4, (42, 128)),
  ),
  "hq256": (
    256,
    "256:64,128:64,64:64,32:128,16:128,8:256,4:512,1:1024",
    (
      "256x1,256d2,256t128,128x2,128d2,128t64,64x3,64d2,64t32",
      "32u2,32t64,64x3,64u2,64t128,128x2,128u2,128t256,256x1",
    ),
    ((1, 1, 2, 2, 4, 4), 2e-5, (16, 64)),
  ),
}
ARGUMENTS = dict(stage="refiner", vae="", form=1, code=False, drop=0.0)
FILES = dict(inception="", reference="")


def get_config(arg: str | None = None):
  more = dict(model="hq256", prior="", components=10, **FILES)
  arg = configs.parse_arg(arg, **ARGUMENTS, **more)
  choices.check(arg, model=MODELS, stage=("vae", "refiner"))
  side, widths, ends, (multipliers, rate, batches) = MODELS[arg.model]
  first = arg.stage == "vae"
  config = configs.base()
  mean, std = (0.0, 1.0) if first else (0.5, 0.5)
  config.data.update(name="folder", size=side, batch=batches[not first])
  cut = dict(host_crop="center", eval_crop="center")
  config.data.update(**cut, flip=side == 256 or not first)
  config.data.update(mean=(mean,) * 3, std=(std,) * 3)
  dims = dict(encoder_widths=widths, decoder_widths=widths)
  dims |= dict(encoder=f"{ends[0]},{DOWN}", decoder=f"{UP},{ends[1]}")
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(total_epochs=500.0, checkpoint_steps=10_000)
  if first:
    config.method = configs.section(type="latent.diffusevae_vae", size=side)
    config.method.dims = configs.section(**dims)
    return config
  vae = dict(path=arg.vae, form=arg.form, code=arg.code, drop=arg.drop)
  unet = dict(attend_at=(16,), heads=1, dropout=0.0, scale_shift=arg.code)
  config.method = configs.section(
    type="latent.diffusevae",
    size=side,
    coarse=configs.section(dims=configs.section(**dims), **vae),
    prior=configs.section(path=arg.prior, components=arg.components),
    dims=configs.section(width=128, multipliers=multipliers, **unet),
  )
  config.optim.update(lr=rate, clip_norm=1.0)
  config.schedule.warmup_steps, config.ema.decay = 5000, 0.9999
  config.train.total_epochs = 1000.0 if side == 256 else 500.0
  config.evals.samples = dict(type="samples", weights="ema", every_steps=10_000)
  if arg.inception:
    files = {name: arg[name] for name in FILES}
    config.evals.fid = dict(type="fid", weights="ema", **files)
  return config
