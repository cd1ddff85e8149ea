"""VITON-DiT on dancers of 32 px: clips of 8 frames, a garment of 16 px.

    python -m jmim.main --config=configs/viton_dit_dancers.py --workdir=A
    ... --config=configs/viton_dit_dancers.py:stage=video,source=A --workdir=B
    ... --config=configs/viton_dit_dancers.py:stage=control,source=B --workdir=C

Stages: image (single frames), video (attention along time is new, what there
was learns at a tenth of the rate), control (a branch of two blocks, which begin
as copies, sees pose and agnostic frames).

Arguments: stage=image, source= (the run before), garment=stored (video: cut out
of any frame; clip: out of one of the clip), gate=open (closed: the garment adds
nothing), data=clips (long: 32 frames), steps=0 (those of the stage: 2000, 1200,
1800).

Size: 1.24 M parameters (control: 1.79 M).
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.core import errors
from jmim.data.builders import dancers
from jmim.data.procedural import dancers as drawing

SIDE, FLAT = (drawing.SIDE,) * 2, (drawing.FLAT,) * 2
STAGES = {
  "image": dict(steps=2000, batch=32, clip=dict(frames=1, stride=1)),
  "video": dict(steps=1200, batch=8, reinit=("/temporal/",)),
  "control": dict(
    steps=1800,
    batch=8,
    reinit=("/branch_embed/", "/branch/layers/added/"),
    copies=(("/net/blocks/", "/net/branch/"),),
  ),
}
# Names of what learns at the whole rate -> others learn at this share of it.
SLOWER = {"video": ("/temporal/", 0.1), "control": ("/branch", 0.3)}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    stage="image",
    source="",
    garment="stored",
    gate="open",
    data="clips",
    steps=0,
  )
  lengths = {c.name: c.frames for c in dancers.Dancers.BUILDER_CONFIGS}
  for name, known in (("stage", STAGES), ("data", lengths)):
    if (value := getattr(arg, name)) not in known:
      raise errors.UserError(
        f"{name}={value}", ", ".join(known), "name one of them", "--config"
      )
  config, stage = configs.base(), STAGES[arg.stage]
  length, half = lengths[arg.data], (0.5, 0.5, 0.5)
  clips, flats = ("frames", "agnostic", "pose"), ("garment", "other")
  pictures = [(name, length, *SIDE) for name in clips]
  pictures += [(name, *FLAT) for name in flats]
  config.data.update(
    name=f"dancers/{arg.data}",
    batch=stage["batch"],
    size=drawing.SIDE,
    pictures=tuple(pictures),
    flip=False,
    mean=half,
    std=half,
  )
  clip = dict(length=length, frames=8, stride=2) | stage.get("clip", {})
  config.method = configs.section(
    type="edit.viton_dit",
    size=SIDE,
    channels=3,
    dims=dict(
      body=dict(variant="S/4", width=96, depth=4, heads=4),
      temporal=arg.stage != "image",
      branch=2 if arg.stage == "control" else 0,
    ),
    clip=clip,
    told=dict(garment=dict(source=arg.garment, size=FLAT)),
    long=dict(frames=clip["frames"]),
    first_stage=dict(variant="none"),
    noise=dict(times=200, beta_start=5e-4, beta_end=0.1),
    sampling=dict(steps=20, clip=1.0),
  )
  closed = ("/gamma$",) if arg.gate == "closed" else ()
  if arg.source:
    config.init_from.update(
      path=arg.source,
      weights="ema",
      reinit=(*stage.get("reinit", ()), *closed),
      copies=stage.get("copies", ()),
      skip=closed,
    )
    new, share = SLOWER.get(arg.stage, ("", 1.0))
    config.optim.lr_mults = ((f"^(?!.*{new})", share),) if new else ()
  config.optim.update(
    lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0, freeze=closed
  )
  config.schedule.update(name="cosine", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(
    total_steps=arg.steps or stage["steps"], checkpoint_steps=500, log_steps=50
  )
  one = lambda kind, **more: configs.section(type=kind, weights="ema", **more)
  config.evals = configs.section(errors=one("mean", limit=200))
  if arg.stage == "control":
    config.evals.tryon = one("tryon", limit=64)
  return config
