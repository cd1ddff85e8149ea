"""DiffFAE on faces of 32 px, folded to 16: one person in the guise of another.

    python -m jmim.main --config=configs/convnet_faces.py:data=faces/people \
      --workdir=I
    python -m jmim.main --config=configs/attributes_faces.py --workdir=J
    python -m jmim.main --config=configs/difffae_faces.py:identity=I,judge=J \
      --workdir=W

I knows 200 people, J tells pose, expression, light and who it is. Trained on
two pictures of one person, tested on strangers: `factors` measures what is the
query's and what is the source's. Renderings and regions are stored.

Arguments: identity= (I; '': no identity token), judge= (J; '': `factors` knows
colours and attention alone), tokens=True (False: nothing of the source),
rendering=True (False: nothing of the query), weight=0.01 (lambda), masks=True
(False: attention is held to statistics), steps=2500.

Size: 2.05 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.core import errors

SIZES = {"pose": 4, "expression": 3, "light": 2}
NETWORK = dict(width=32, multipliers=(1, 2, 2), blocks=1)
NETWORK |= dict(attend_at=(1, 2), heads=4, norm_groups=8)
ENCODER = dict(variant="S/4", width=64, depth=2, heads=4)
NOISE = dict(schedule="linear", times=200, beta_start=5e-4, beta_end=0.1)


def get_config(arg: str | None = None):
  defaults = dict(identity="", judge="", tokens=True, rendering=True)
  more = dict(weight=0.01, masks=True, steps=2500)
  arg = configs.parse_arg(arg, **defaults, **more)
  if arg.identity and not arg.tokens:
    raise errors.UserError(
      f"identity={arg.identity} with tokens=False",
      "no identity where nothing of the source is told",
      "leave out one of both",
      "--config",
    )
  config, half = configs.base(), (0.5, 0.5, 0.5)
  config.data.update(name="faces/pairs", batch=32, size=32, flip=False)
  shown = (("source", arg.tokens), ("rendering", arg.rendering))
  pictures = tuple((name, 32, 32) for name, read in shown if read)
  config.data.update(pictures=pictures, mean=half, std=half)
  numbers = SIZES if arg.rendering else {}
  rendering = dict(used=arg.rendering, film=16)
  rendering |= dict(numbers=tuple(numbers), sizes=tuple(numbers.values()))
  source = dict(count=5 if arg.tokens else 0, encoder=ENCODER, width=64)
  source |= dict(identity="network" if arg.identity else "none")
  source |= dict(path=arg.identity)
  named = (("tokens", arg.tokens), ("rendering", arg.rendering))
  by = dict(guide=tuple(name for name, told in named if told))
  kind = "masks" if arg.masks else "statistics"
  regions = dict(weight=arg.weight, kind=kind, side=16, regions=5)
  config.method = configs.section(
    type="edit.difffae",
    size=16,
    channels=12,
    dims=NETWORK,
    told=dict(
      rendering=rendering, source=source, attention=regions, conditions=by
    ),
    first_stage=dict(variant="fold2"),
    noise=NOISE,
    sampling=dict(steps=20, guidance=1.5, clip=1.0),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  one = lambda kind, **more: configs.section(type=kind, weights="ema", **more)
  strangers = dict(data="faces/strangers", workdir=arg.judge)
  config.evals = configs.section(
    errors=one("mean", limit=512), factors=one("factors", **strangers)
  )
  return config
