"""VITON-DiT on dancers of 32 px: clips of 8 frames, a garment of 16 px.

    python -m jmim.main --config=configs/viton_dit_dancers.py --workdir=A
    ... --config=configs/viton_dit_dancers.py:stage=video,source=A --workdir=B
    ... --config=configs/viton_dit_dancers.py:stage=control,source=B --workdir=C

Stages: image (single frames), video (attention along time is new, the rest
learns at a tenth of the rate), control (a branch of two blocks, copies at
first, sees pose and agnostic frames; the rest at 0.3).

Arguments: stage=image, source= (the run before), garment=stored (video: cut out
of any frame; clip: of the clip), gate=open (closed: the garment adds nothing),
steps=0 (those of the stage: 2000, 1200, 1800).

Size: 1.24 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

COPIED = (("/net/blocks/", "/net/branch/"),)
FRESH = ("/branch_embed/", "/branch/layers/added/")
# Steps, batch, what is fresh, what is copied, what learns at the whole rate,
# the share of it that the rest has.
STAGES = {
  "image": (2000, 32, (), (), "", 1.0),
  "video": (1200, 8, ("/temporal/",), (), "/temporal/", 0.1),
  "control": (1800, 8, FRESH, COPIED, "/branch", 0.3),
}
CLIPS, FLATS = ("frames", "agnostic", "pose"), ("garment", "other")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="image", source="", garment="stored", gate="open", steps=0
  )
  choices.check(arg, stage=STAGES, gate=("open", "closed"))
  steps, batch, fresh, copied, new, share = STAGES[arg.stage]
  config, half, frames = configs.base(), (0.5, 0.5, 0.5), 8
  pictures = [(name, 16, 32, 32) for name in CLIPS]
  pictures += [(name, 16, 16) for name in FLATS]
  config.data.update(name="dancers/clips", batch=batch, size=32, flip=False)
  config.data.update(pictures=tuple(pictures), mean=half, std=half)
  clip, dims = dict(length=16, frames=8, stride=2), dict(temporal=True)
  if arg.stage == "image":
    clip, dims, frames = dict(clip, frames=1, stride=1), dict(temporal=False), 1
  if arg.stage == "control":
    dims["branch"] = 2
  config.method = configs.section(
    type="edit.viton_dit",
    size=(32, 32),
    channels=3,
    dims=dict(dims, body=dict(variant="S/4", width=96, depth=4, heads=4)),
    clip=clip,
    told=dict(garment=dict(source=arg.garment, size=(16, 16))),
    long=dict(frames=frames, stride=2),  # no more than in training
    first_stage=dict(variant="none"),
    noise=dict(times=200, beta_start=5e-4, beta_end=0.1),
    sampling=dict(steps=20, clip=1.0),
  )
  shut = ("/gamma$",) if arg.gate == "closed" else ()
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.optim.freeze = shut
  if arg.source:
    config.init_from.update(path=arg.source, weights="ema", copies=copied)
    config.init_from.update(reinit=(*fresh, *shut), skip=shut)
    config.optim.lr_mults = ((f"^(?!.*{new})", share),) if new else ()
  config.schedule.update(name="cosine", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps or steps, checkpoint_steps=500)
  one = lambda kind, **more: configs.section(type=kind, weights="ema", **more)
  config.evals = configs.section(errors=one("mean", limit=200))
  if arg.stage == "control":
    config.evals.tryon = one("tryon", limit=64, ends=2)
  return config
