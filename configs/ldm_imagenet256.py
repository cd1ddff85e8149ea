"""LDM-4 on ImageNet at 256 x 256, given the class (cin256-v2 of the authors).

Data: latents of a vq-f4 first stage, cached with jmim.tools.cache_latents as
in dit_imagenet256 (configs/autoencoder_vq_imagenet.py, --views=2).

    python -m jmim.main --config=configs/ldm_imagenet256.py --workdir=W \
      --config.data.data_dir=DIR --config.method.first_stage.path=runs/vq
    python -m jmim.main --mode=sample ... --num=50000 --weights=ema \
      --guidance=1.5 --steps=250

Arguments: steps=178000, batch=1200.

Reference (the authors'; not repeated here): FID 3.60, IS 247.7 with guidance
1.5 and 250 steps.

Size: 401 M parameters.
Time: not measured.
Expect: the authors' FID with guidance 1.5, not repeated: 3.60.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=178_000, batch=1200)
  config = configs.base()
  config.data.update(
    name="imagenet256_vq_latents",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.ldm",
    condition=configs.section(task="class", transformer=1, context=512),
    labels=configs.section(classes=1000),
    size=64,
    channels=3,
    first_stage=configs.section(variant="vq-f4", codes=8192, scale=1.0),
    dims=configs.section(
      width=192, multipliers=(1, 2, 3, 5), attend_at=(8, 4, 2), heads=1
    ),
    sampling=configs.section(steps=250, guidance=1.5),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
