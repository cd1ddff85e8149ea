"""VITON-DiT on videos of people who dance: 16 frames of 512 x 384 px.

The videos are yours. An example holds 64 `frames` of one person, `agnostic`
ones, grey where the garment is, and drawn `pose`s (all uint8, of any size);
`masks` [64, 512, 384], 0 or 1; and `other`, a garment to try on. In training
the garment is cut out of any frame. VAE is Stable Diffusion's.

    R=configs/viton_dit_videos.py
    python -m jmim.main --config=$R:vae=VAE --workdir=A \
      --config.data.data_dir=DIR
    ... --config=$R:vae=VAE,stage=video,source=A --workdir=B
    ... --config=$R:vae=VAE,stage=control,source=B --workdir=C

Stages: image (100,000 steps), video (100,000: attention along time is new),
control (50,000: a branch of 14 blocks, at first copies); the rest learns at a
fifth of the rate, with frozen=True not at all. Steps, batch and sizes are ours.

Arguments: vae= (its weights, a run or an .npz), stage=image, source= (the run
before), frozen=False, batch=128, tokens=0 (vectors of width 1024, say CLIP's,
that are stored of both garments: `garment_embedding`, `other_embedding`).

Size: 1.06 G parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

SIDES, LENGTH, FRAMES, SHARE = (512, 384), 64, 16, 0.2
COPIED = (("/net/blocks/", "/net/branch/"),)
FRESH = ("/branch_embed/", "/branch/layers/added/")
# Steps, what is fresh, what is copied, what learns at the whole rate.
STAGES = {
  "image": (100_000, (), (), ""),
  "video": (100_000, ("/temporal/",), (), "/temporal/"),
  "control": (50_000, FRESH, COPIED, "/branch"),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, vae="", stage="image", source="", frozen=False, tokens=0, batch=128
  )
  choices.check(arg, stage=STAGES)
  steps, fresh, copied, new = STAGES[arg.stage]
  config, half, image = configs.base(), (0.5,) * 3, arg.stage == "image"
  branch = 14 if arg.stage == "control" else 0
  clips = ("frames", *(("agnostic", "pose") if branch else ()))
  pictures = (*((n, LENGTH, *SIDES) for n in clips), ("other", *SIDES))
  config.data.update(name="dance_videos", batch=arg.batch, size=SIDES[0])
  config.data.update(pictures=pictures, flip=False, mean=half, std=half)
  frames = 1 if image else FRAMES
  config.method = configs.section(
    type="edit.viton_dit",
    dims=dict(temporal=not image, branch=branch),
    clip=dict(length=LENGTH, frames=frames, stride=1 if image else 4),
    told=dict(garment=dict(tokens=arg.tokens)),
    long=dict(frames=frames),
    first_stage=dict(path=arg.vae),
  )
  if arg.source:
    config.init_from.update(path=arg.source, weights="ema")
    config.init_from.update(reinit=fresh, copies=copied)
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  if new:
    others = f"^(?!.*{new})"
    config.optim.lr_mults = ((others, SHARE),)
    config.optim.freeze = (others,) if arg.frozen else ()
  config.schedule.update(name="constant", warmup_steps=1000)
  config.ema.decay = 0.9999
  config.train.update(total_steps=steps, checkpoint_steps=5000, log_steps=100)
  config.evals.errors = configs.section(
    type="mean", weights="ema", every_steps=10_000, limit=256
  )
  config.hardware.remat = "full"  # 12,288 tokens of a clip
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
