"""DiffuMask on scenes: images of captions, and maps of the word for the thing.

    python -m jmim.main --config=configs/ldm_text_scenes.py --workdir=TEXT
    python -m jmim.main --mode=apply --workdir=WORDS \
      --config=configs/diffumask_scenes.py:source=TEXT
    python -m jmim.tools.draw_words --workdir=WORDS --out=words.png

stores them as the data set `word_maps`; then affinity_scenes,
diffumask_masks_scenes and segment_scenes.
Arguments: source= (a run of ldm_text_scenes), num=300 (of each split),
words="circle square triangle cross" (whose map is made), store=word_maps ("":
nothing is stored).
`python -m jmim.tools.claim diffumask` compares.

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

KINDS = "circle square triangle cross"


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, source="", num=300, words=KINDS, store="word_maps"
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one",
    batch=50,
    size=32,
    mean=half,
    std=half,
    tokenizer="words:scenes",
    text_length=12,
    text_words=(arg.words,),
  )
  config.procedure = configs.section(
    type="edit.diffumask",
    source=dict(path=arg.source, recipe="configs/ldm_text_scenes.py"),
    steps=20,
    guidance=2.0,
    clip=1.0,
    sides=(8, 16),
    table="plain",
    crf=dict(near=1.0, place=8.0, classes=2),
  )
  config.apply.update(num=arg.num, splits=("train", "eval"), store=arg.store)
  config.evals = configs.section(
    mass=configs.section(type="attention_mass"),
    iou=configs.section(
      type="semantic", predict="apply", guess="mask", truth="thing"
    ),
  )
  return config
