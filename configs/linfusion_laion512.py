"""LinFusion on Stable Diffusion 1.5, LAION aesthetics at 512 px.

The host is the UNet of Stable Diffusion 1.5 (`python -m jmim.convert
--from=diffusers_unet`), the first stage its autoencoder (`--from=
diffusers_vae`). Examples hold `moments` of a kl-f8 first stage
(`jmim.tools.cache_latents`) and `context` [77, 768], the last layer of CLIP's
text encoder of their captions; EMPTY holds that of "" (an .npz of `context`).

    python -m jmim.main --config=configs/linfusion_laion512.py --workdir=W \
      --config.data.data_dir=DIR --config.method.host.path=SD \
      --config.method.first_stage.path=VAE --config.method.condition.null=EMPTY

Arguments: steps=100000, batch=96, bottleneck=0, start=host (fresh: as
released, and for weights of family `linfusion`).

Reference (the authors'; not repeated here; from memory): COCO-2014 FID 12.57,
CLIP score 0.323 with guidance 7.5; Stable Diffusion 1.5: 12.86, 0.321.

Size: 99.2 M parameters.
Time: not measured.
Expect: FID 12.57 on COCO-2014 (the authors', from memory; not repeated).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, steps=100_000, batch=96, bottleneck=0, start="host"
  )
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="laion512_latents",
    eval_split="test",
    batch=arg.batch,
    size=512,
    flip=False,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="diffusion.linfusion",
    size=64,
    channels=4,
    dims=configs.section(
      width=320, multipliers=(1, 2, 4, 4), attend_at=(1, 2, 4), heads=8
    ),
    first_stage=configs.section(variant="kl-f8", scale=0.18215),
    noise=configs.section(beta_start=0.00085, beta_end=0.012),
    condition=configs.section(task="context", context=768, transformer=1),
    sampling=configs.section(steps=50, guidance=7.5),
    mixers=configs.section(bottleneck=arg.bottleneck, start=arg.start),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=10_000, limit=1024)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
