"""CycleDiffusion on scenes: a thing of another colour, where it was.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --mode=apply \
      --config=configs/cycle_scenes.py:base=BASE --workdir=W

Arguments: base= (a run of ddpm_scenes), skip=10 (of 50 steps), num=256;
fresh=True decodes with fresh noise from the same start instead (SDEdit);
several=True shows three strengths beside the source, in W/images;
attributes= (a run of attributes_scenes) tells kind, texture and place as well,
and with best=True chooses among scales and trials.
`python -m jmim.tools.claim cycle_diffusion` compares.

Size: trains nothing.
Time: 5 minutes on one core beside other jobs.
Expect: 100 % of the asked colour, overlap of masks 0.417 (fresh=True: 99.6 %,
0.191).
"""

from jmim.core import config as configs
from jmim.core import errors

STEPS, ETA, SCALE = 50, 0.1, 2.0


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    base="",
    attributes="",
    skip=10,
    num=256,
    fresh=False,
    several=False,
    best=False,
  )
  if arg.fresh + arg.several + arg.best > 1 or arg.best and not arg.attributes:
    raise errors.UserError(
      f"fresh={arg.fresh}, several={arg.several}, best={arg.best}, "
      f"attributes={arg.attributes!r}",
      "one of them, and attributes=RUN for best",
      "change the argument",
      "--config",
    )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(name="scenes/one", batch=64, size=32, mean=half, std=half)
  source = dict(path=arg.base, recipe="configs/ddpm_scenes.py")
  common = dict(source=source, told="random")
  config.procedure = configs.section(
    type="edit.cycle_diffusion",
    code=dict(steps=STEPS, eta=ETA, clip=1.0),
    search=dict(skip=(arg.skip,), scale=(SCALE,)),
    **common,
  )
  if arg.fresh:
    config.procedure = configs.section(
      type="edit.img2img",
      steps=STEPS,
      eta=ETA,
      clip=1.0,
      strength=(STEPS - arg.skip) / STEPS,
      guidance=SCALE,
      **common,
    )
  if arg.several:
    config.procedure.search.update(skip=(30, 20, arg.skip), keep="all")
  if arg.best:
    config.procedure.search.update(scale=(1.0, SCALE, 3.0), trials=4)
    config.procedure.scorer = dict(
      path=arg.attributes, recipe="configs/attributes_scenes.py"
    )
  config.apply.num = arg.num
  config.evals.edits = configs.section(
    type="edits", things=True, asked=("colour=label",), workdir=arg.attributes
  )
  return config
