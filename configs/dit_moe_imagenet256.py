"""DiT-MoE on the latents of ImageNet at 256 x 256, after the paper's table.

Data and first stage as for `configs/dit_imagenet256.py` (the authors' cache is
centre crops and their mirror images, --views=2).

    python -m jmim.main --config=configs/dit_moe_imagenet256.py --workdir=DIR2 \
      --config.data.data_dir=DIR --config.method.first_stage.path=runs/vae
    python -m jmim.main --mode=sample ... --num=50000 --weights=ema --guidance=2
    python -m jmim.main --mode=dry_run --topology=v5p:4x4x8 \
      --config=configs/dit_moe_imagenet256.py:variant=G/2,experts=16 \
      --config.hardware.mesh.expert=16

Arguments: variant=XL/2 (S B G with /2), experts=8 (16), objective=flow (ddpm,
as the authors train S and B), batch=1024, steps=1000000. On several chips give
hardware.mesh.expert a divisor of `experts`.

Reference (the authors'; not repeated here): G/2-16E2A at 512 x 512, guided,
with synthetic images besides, FID-50K 1.80. Without first_stage.path it
trains, but does not sample.

Size: 4.17 G parameters.
Time: not measured.
Expect: the authors' FID of G/2 at 512 px, not repeated: 1.80.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    variant="XL/2",
    experts=8,
    objective="flow",
    batch=1024,
    steps=1_000_000,
  )
  flow, large = arg.objective == "flow", arg.variant.startswith(("XL", "G"))
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
  config.method = configs.section(
    type="diffusion.dit_moe",
    dims=configs.section(variant=arg.variant),
    size=32,
    channels=4,
    labels=configs.section(classes=1000),
    first_stage=configs.section(variant="kl-f8"),
    sampling=configs.section(
      clip=0.0,
      guidance=2.0 if flow else 1.5,
      sampler="euler" if flow else "ddpm",
      steps=50 if flow else 250,
      guidance_channels=0 if flow else 3,
    ),
    experts=arg.experts,
    noise=configs.section(type=arg.objective),
    qk_norm=large,
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=50_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192),
    experts=configs.section(
      type="experts", experts=arg.experts, every_steps=50_000, limit=8192
    ),
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  if large:
    config.hardware.remat = "full"
  return config
