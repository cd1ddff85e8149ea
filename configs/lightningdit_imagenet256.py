"""LightningDiT on the latents of a VA-VAE of ImageNet at 256 x 256.

Data: `imagenet256_va_vae`, moments 16 x 16 x 64, of centre crops, two views
that are flipped or not, made once with the mean and deviation of each channel:

    V=configs/va_vae_imagenet.py:stage=3
    python -m jmim.convert --from=va_vae --weights=FILE --config=$V \
      --out=runs/va_vae
    python -m jmim.tools.cache_latents --workdir=runs/va_vae --config=$V \
      --views=2 --name=imagenet256_va_vae --out=DIR \
      --config.data.data_dir=IMAGES
    S=DIR/imagenet256_va_vae/1.0.0/statistics.npz
    R=configs/lightningdit_imagenet256.py
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=$R:first_stage=runs/va_vae,statistics=$S
    python -m jmim.main --mode=sample ... --num=50000 --weights=ema \
      --guidance=10

A run of va_vae_imagenet does as well. Arguments: variant=XL/1 (B/1, L/2, ...),
epochs=64 (800), batch=1024, qk_norm=False (True: their advice where the loss is
not finite), first_stage= (a run), statistics= (of the latents' channels: the
authors' are normalised so). Guidance acts on three channels, as released, hence
its size; after 800 epochs it is 6.7. The best run drew times evenly
(method.noise.uniform) from midway on.

Reference (the authors'; not repeated here; FID without / with guidance): 64
epochs 5.14 / 2.11, 800 epochs 2.17 / 1.35 (IS 295.3). Without first_stage it
trains, but does not sample.

Size: 675 M parameters.
Time: not measured.
Expect: the authors' FID after 64 epochs, not repeated: 5.14, guided 2.11.
"""

from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]


def get_config(arg: str | None = None):
  known = dict(variant="XL/1", epochs=64, batch=1024, qk_norm=False)
  arg = configs.parse_arg(arg, first_stage="", statistics="", **known)
  config = configs.base()
  config.data.update(
    name="imagenet256_va_vae",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.lightningdit",
    dims=dict(variant=arg.variant),
    size=16,
    channels=32,
    qk_norm=arg.qk_norm,
    labels=dict(classes=1000),
    first_stage=dict(
      variant="kl-f16-z32",
      scale=1.0,
      path=arg.first_stage,
      statistics=arg.statistics,
    ),
    sampling=dict(guidance_channels=3),
  )
  config.optim.update(lr=2e-4, b2=0.95, weight_decay=0.0, clip_norm=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_images=arg.epochs * IMAGES, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
