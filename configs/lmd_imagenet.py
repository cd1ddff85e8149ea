"""LMD on the latents of ImageNet-1k at 224 x 224.

Data: `imagenet224_latents`, moments of Stable Diffusion's KL-f8 autoencoder,
28 x 28, with four augmented views; made once:

    python -m jmim.convert --from=diffusers_vae --weights=FILE \
      --config=configs/autoencoder_kl_imagenet.py --out=runs/vae
    python -m jmim.tools.cache_latents --workdir=runs/vae --views=4 \
      --config=configs/autoencoder_kl_imagenet.py --name=imagenet224_latents \
      --out=DIR --config.data.data_dir=IMAGES --config.data.size=224 \
      --config.method.size=224 --config.data.eval_resize=256
    python -m jmim.main --config=configs/lmd_imagenet.py --workdir=W \
      --config.data.data_dir=DIR --config.method.first_stage.path=runs/vae

Arguments: variant=B/4 (49 tokens; B/7: 16), epochs=800, batch=4096,
schedule=cosine (piecewise, linear, fixed). An epoch is that of the images,
whatever the number of views.

Optimizer, rates and ratios are the script's (batch 64 on one GPU there, epochs
left blank: 800 are those of MAE's text in its README). Reference: training at
least 3 times faster than MAE at nearly the same accuracy (abstract); no figures
were available, and nothing was trained here. Without first_stage.path it
trains, but draws no reconstructions.

Size: 111 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="B/4", epochs=800, batch=4096, schedule="cosine"
  )
  choices.at_least(arg, batch=1)
  steps = arg.epochs * IMAGES // arg.batch
  config = configs.base()
  config.data.update(
    name="imagenet224_latents",
    eval_split="test",
    batch=arg.batch,
    size=224,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="mim.lmd",
    dims=dict(variant=arg.variant),
    decoder_dims=dict(width=512, depth=8, heads=16),
    curriculum=dict(name=arg.schedule, steps=steps),
    first_stage=dict(variant="kl-f8"),
  )
  config.optim.update(name="adan", lr=3e-4, lr_batch=256, weight_decay=0.05)
  config.optim.update(b1=0.98, b2=0.92, b3=0.9, clip_norm=10.0)
  config.schedule.update(warmup_images=IMAGES, min_lr=1e-8)
  config.train.update(
    total_steps=steps, checkpoint_images=5 * IMAGES, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(
      type="mean", every_images=20 * IMAGES, limit=2 * arg.batch
    )
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
