"""DiT on the latents of ImageNet at 256 x 256, after the paper's table.

Data: `imagenet256_latents`, made once from images (or by --config.method.read=
images, encoded in every step):

    python -m jmim.convert --from=diffusers_vae --weights=FILE \
      --config=configs/autoencoder_kl_imagenet.py --out=runs/vae
    python -m jmim.tools.cache_latents --workdir=runs/vae --views=2 \
      --config=configs/autoencoder_kl_imagenet.py --name=imagenet256_latents \
      --out=DIR --config.data.data_dir=IMAGES
    python -m jmim.main --config=configs/dit_imagenet256.py --workdir=DIR2 \
      --config.data.data_dir=DIR --config.method.first_stage.path=runs/vae
    python -m jmim.main --mode=sample ... --num=50000 --weights=ema \
      --guidance=1.5 --sampler=ddpm --steps=250

Arguments: variant=XL/2 (L B S with /2 /4 /8), steps=400000, batch=256,
masked=False (True: MaskDiT, half of the patches hidden), first_stage= (a run).

Reference (the authors'; not repeated here; FID): after 400 k steps without
guidance S/2 68.4, B/2 43.5, L/2 23.3, XL/2 19.5; XL/2 after 7 M 9.62, with
guidance 1.5 2.27. Without first_stage.path it trains, but does not sample.

Size: 675 M parameters.
Time: not measured.
Expect: the authors' FID of XL/2 after 400 k steps, not repeated: 19.5.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  known = dict(variant="XL/2", steps=400_000, batch=256, masked=False)
  arg = configs.parse_arg(arg, first_stage="", **known)
  config = configs.base()
  config.data.update(
    name="imagenet256_latents",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  kind = "diffusion.maskdit" if arg.masked else "diffusion.dit"
  config.method = configs.section(
    type=kind,
    dims=configs.section(variant=arg.variant),
    size=32,
    channels=4,
    labels=configs.section(classes=1000),
    first_stage=configs.section(variant="kl-f8", path=arg.first_stage),
    noise=configs.section(schedule="linear"),
    sampling=configs.section(clip=0.0, steps=250),
  )
  if not arg.masked:
    config.method.sampling.update(sampler="ddpm", guidance_channels=3)
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=50_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
