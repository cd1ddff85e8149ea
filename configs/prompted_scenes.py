"""Scenes drawn by a model of captions that is told an image instead.

    python -m jmim.main --mode=apply --config=configs/prompted_scenes.py \
      --workdir=W --config.procedure.source.path=runs/told \
      --config.procedure.projector.path=runs/thinkdiff

Arguments: source= (a run of t5_ldm_scenes), projector= (of thinkdiff_scenes),
attributes= (of attributes_scenes, measures what is drawn), told=image (text:
the true caption instead; both), num=256, guidance=2.0.

A sheet in W/images shows sources beside what was made of them.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

TOLD = {"image": (1, False), "text": (0, True), "both": (1, True)}


def get_config(arg: str | None = None):
  known = dict(source="", projector="", attributes="", told="image", num=256)
  arg = configs.parse_arg(arg, **known, guidance=2.0)
  choices.check(arg, told=TOLD)
  images, text = TOLD[arg.told]
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one", batch=64, size=32, flip=False, mean=half, std=half
  )
  config.data.update(
    tokenizer="words:scenes", text_length=10, text_start=-1, text_end=2
  )
  config.procedure = configs.section(
    type="edit.prompted",
    source=dict(path=arg.source, recipe="configs/t5_ldm_scenes.py"),
    projector=dict(path=arg.projector, recipe="configs/thinkdiff_scenes.py"),
    told=dict(images=images, text=text),
    steps=50,
    guidance=arg.guidance,
    clip=1.0,
  )
  config.apply.num = arg.num
  config.evals.edits = configs.section(
    type="edits", things=True, workdir=arg.attributes
  )
  return config
