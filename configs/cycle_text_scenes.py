"""CycleDiffusion told by texts: "a red circle ..." becomes "a blue circle ...".

    python -m jmim.main --config=configs/ldm_text_scenes.py --workdir=BASE
    python -m jmim.main --config=configs/clip_scenes.py --workdir=CLIP
    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/cycle_text_scenes.py:base=BASE,clip=CLIP

The base is told the caption while it encodes, and that of another colour while
it decodes; of two skips, three scales and four trials that result is kept whose
change is most that of the texts, as the towers of CLIP see both (directional
CLIP). Colour and mask are read from the pixels.

Arguments: base= (a run of ldm_text_scenes), clip= (of clip_scenes), num=256,
best=True; False: one result, skip=10 of 50 steps at scale 2; fresh=True: one
decoded with fresh noise from the same start (SDEdit).

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

STEPS, ETA, SCALE, SKIP = 50, 0.1, 2.0, 10


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, base="", clip="", num=256, best=True, fresh=False
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/edits",
    batch=64,
    size=32,
    mean=half,
    std=half,
    tokenizer="words:scenes",
    text_length=12,
    texts=(("target_tokens", "target"),),
  )
  source = dict(path=arg.base, recipe="configs/ldm_text_scenes.py")
  common = dict(source=source, told="target")
  if arg.fresh:
    config.procedure = configs.section(
      type="edit.img2img",
      steps=STEPS,
      eta=ETA,
      clip=1.0,
      strength=(STEPS - SKIP) / STEPS,
      guidance=SCALE,
      **common,
    )
  else:
    tried = dict(skip=(5, SKIP), scale=(1.0, SCALE, 3.0), trials=4)
    config.procedure = configs.section(
      type="edit.cycle_diffusion",
      code=dict(steps=STEPS, eta=ETA, clip=1.0),
      search=tried if arg.best else dict(skip=(SKIP,), scale=(SCALE,)),
      choice=dict(kind="direction"),
      **common,
    )
    if arg.best:
      scorer = dict(path=arg.clip, recipe="configs/clip_scenes.py")
      config.procedure.scorer = scorer
  config.apply.num = arg.num
  config.evals.edits = configs.section(
    type="edits", things=True, asked=("colour=target_label",)
  )
  if arg.clip:
    config.evals.clip = configs.section(
      type="clip",
      predict="apply",
      picture="image",
      source="batch",
      text="target",
      before="caption",
      workdir=arg.clip,
    )
  return config
