"""DiffewS on scenes: six classes (kind by texture) are learned, two are not.

A scene has two or three things, so that only a support tells which is meant.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --config=configs/diffews_scenes.py:base=BASE --workdir=W

Arguments: base= (a run of ddpm_scenes; without it from random weights),
steps=2000, fold=0 (to 3: classes fold and fold + 4 are held out), shots=2 (most
supports of a training episode; the examples hold five).
`python -m jmim.tools.claim diffews` compares.

Size: 0.728 M parameters.
Time: 19 minutes on one core beside other jobs; the base 29.
Expect: mIoU of held-out classes 50.9 % with one support, 41.0 without a base.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data.builders import scenes

CLASSES = 8


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, base="", steps=2000, fold=0, shots=2)
  choices.check(arg, fold=range(4))
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  held_out = [arg.fold, arg.fold + 4]
  learned = [c for c in range(CLASSES) if c not in held_out]
  config.data.update(
    name="scenes/episodes",
    train_split=scenes.of_classes("train", learned),
    eval_split=scenes.of_classes("test", held_out),
    batch=8,
    size=32,
    pictures=(("scenes", scenes.SHOTS, 32, 32),),
    flip=False,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="dense.diffews",
    size=16,
    channels=12,
    first_stage=dict(variant="fold2", read="images"),
    dims=dict(
      width=32,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(1, 2),
      heads=2,
      dropout=0.0,
    ),
    episode=dict(scenes=scenes.SHOTS, classes=CLASSES, shots=arg.shots),
    prompt=dict(transformer=0),
  )
  if arg.base:
    config.init_from.update(
      path=arg.base,
      weights="ema",
      rename=(("^main/", "main/net/"),),
      copies=(("/conv_in/", "/conv_in_ref/"),),
      skip=("/label_embed/",),
    )
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(name="linear", warmup_steps=50)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=1000, log_steps=50
  )
  one = lambda predict: configs.section(type="episodes", predict=predict)
  config.evals = configs.section(
    one=one("segment"),
    five=one("segment_all"),
    alone=one("segment_alone"),
    other=one("segment_other"),
  )
  return config
