"""DiffFit of DiT-XL/2: ImageNet at 512 px, or another data set at 256.

HOST is the published DiT-XL/2 of 256 px, read once:

    python -m jmim.convert --from=dit --weights=FILE --out=runs/dit_xl \
      --config=configs/dit_imagenet256.py
    python -m jmim.main --workdir=runs/W --config.data.data_dir=DIR \
      --config=configs/difffit_imagenet512.py:host=runs/dit_xl

Latents of the data (`food101_latents`, say) are made as for dit_imagenet256.
Arguments: host="", set=imagenet512 (of SETS), mode=difffit (bitfit, full,
scratch), stop=0 (block before which scales end; 0: the last; 14 was best on
Food-101), batch=256. To sample, add --config.method.first_stage.path=VAE.

Reference (not repeated here), FID, DiffFit / all tuned: Food 6.96 / 10.46, SUN
8.55 / 7.96, DF-20M 17.35 / 17.26, Caltech 33.84 / 35.25, CUB 5.48 / 5.68,
ArtBench 20.87 / 25.31, Flowers 20.18 / 21.05, Cars 9.90 / 9.79; ImageNet 512,
guidance 1.5, 25 epochs: 3.02. Steps, rates, EMA, classes: partly from memory.

Size: 1.71 M parameters.
Time: not measured.
Expect: the authors' FID, guided, not repeated: 3.02.
"""

from jmim.core import choices
from jmim.core import config as configs

# Data set -> classes.
SETS = {
  "imagenet512": 1000,
  "food101": 101,
  "sun397": 397,
  "df20m_mini": 182,
  "caltech101": 102,
  "cub200": 200,
  "artbench10": 10,
  "flowers102": 102,
  "cars196": 196,
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, host="", set="imagenet512", mode="difffit", stop=0, batch=256
  )
  choices.check(arg, set=SETS)
  config, fine = configs.base(), arg.set == "imagenet512"
  config.data.update(name=f"{arg.set}_latents", eval_split="test", flip=False)
  config.data.update(batch=arg.batch, size=512 if fine else 256)
  config.data.update(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.method = configs.section(
    type="diffusion.difffit",
    mode=arg.mode,
    host=configs.section(path=arg.host),
    host_size=32,
    host_classes=0 if fine else 1000,
    scales=configs.section(stop=arg.stop),
    dims=configs.section(variant="XL/2"),
    size=64 if fine else 32,
    channels=4,
    labels=configs.section(classes=SETS[arg.set]),
    first_stage=configs.section(variant="kl-f8"),
    sampling=configs.section(clip=0.0, steps=250, sampler="ddpm"),
  )
  if fine:
    config.method.sampling.update(guidance=1.5, guidance_channels=3)
  few = arg.mode in ("difffit", "bitfit") and not fine
  config.optim.update(lr=1e-3 if few else 1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.update(decay=0.9999, warmup=False)
  # 25 epochs of 1.28 million images at a batch of 256.
  steps = 125_000 if fine else 24_000
  config.train.update(total_steps=steps, checkpoint_steps=5000, log_steps=100)
  config.evals.loss = configs.section(type="loss", every_steps=5000, limit=8192)
  config.hardware.remat = "dots" if fine else "none"  # 1024 tokens, 28 blocks
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
