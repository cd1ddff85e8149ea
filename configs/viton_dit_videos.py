"""VITON-DiT on videos of people who dance: 16 frames of 512 x 384 px.

The videos are yours (the authors' are not public). An example holds, as uint8
frames of any size, `frames` [64, ...] of one person; `agnostic` [64, ...], grey
where the garment is, and `pose` [64, ...], drawn (DensePose, or a skeleton);
`masks` [64, 512, 384], 0 or 1; and `other`, a picture of a garment to try on,
its background grey. The garment in training is cut out of any of the 64 frames.
VAE is Stable Diffusion's, a run or a file of `jmim.convert`.

    python -m jmim.main --config=configs/viton_dit_videos.py --workdir=A \
      --config.data.data_dir=DIR --config.method.first_stage.path=VAE
    ... --config=configs/viton_dit_videos.py:stage=video,source=A --workdir=B
    ... --config=configs/viton_dit_videos.py:stage=control,source=B --workdir=C

Stages: image (100,000 steps), video (100,000: attention along time is new, the
rest learns at a fifth of the rate; frozen=1: not at all), control (50,000: a
branch of 14 blocks that begin as copies, the rest at a fifth). Steps, batch and
sizes are ours; the paper begins with the weights of a text-to-video model.

Arguments: stage=image, source= (the run before), frozen=0, tokens=0 (vectors of
width 1024, CLIP's of the garments, stored as `garment_embedding` and
`other_embedding`, which blocks look at, too), batch=128.

Size: 1.06 G parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.core import errors

SIDES, LENGTH, FRAMES = (512, 384), 64, 16
STAGES = {
  "image": dict(steps=100_000, clip=dict(frames=1, stride=1)),
  "video": dict(steps=100_000, reinit=("/temporal/",)),
  "control": dict(
    steps=50_000,
    reinit=("/branch_embed/", "/branch/layers/added/"),
    copies=(("/net/blocks/", "/net/branch/"),),
  ),
}
NEW = {"video": "/temporal/", "control": "/branch"}
SHARE = 0.2


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="image", source="", frozen=0, tokens=0, batch=128
  )
  if arg.stage not in STAGES:
    raise errors.UserError(
      f"stage={arg.stage}", ", ".join(STAGES), "name one of them", "--config"
    )
  config, stage, half = configs.base(), STAGES[arg.stage], (0.5, 0.5, 0.5)
  branch = 14 if arg.stage == "control" else 0
  clips = ("frames", *(("agnostic", "pose") if branch else ()))
  config.data.update(
    name="dance_videos",
    batch=arg.batch,
    size=SIDES[0],
    pictures=(*((n, LENGTH, *SIDES) for n in clips), ("other", *SIDES)),
    flip=False,
    mean=half,
    std=half,
  )
  clip = dict(length=LENGTH, frames=FRAMES) | stage.get("clip", {})
  config.method = configs.section(
    type="edit.viton_dit",
    dims=dict(temporal=arg.stage != "image", branch=branch),
    clip=clip,
    told=dict(garment=dict(tokens=arg.tokens)),
    long=dict(frames=clip["frames"]),
    first_stage=dict(path="VAE"),
  )
  if arg.source:
    config.init_from.update(
      path=arg.source,
      weights="ema",
      reinit=stage.get("reinit", ()),
      copies=stage.get("copies", ()),
    )
  if arg.stage in NEW:
    others = f"^(?!.*{NEW[arg.stage]})"
    config.optim.lr_mults = ((others, SHARE),)
    config.optim.freeze = (others,) if arg.frozen else ()
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=1000)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=stage["steps"], checkpoint_steps=5000, log_steps=100
  )
  config.evals.errors = configs.section(
    type="mean", weights="ema", every_steps=10_000, limit=256
  )
  config.hardware.remat = "full"  # 12,288 tokens of a clip
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
