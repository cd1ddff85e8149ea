"""A small segmenter of scenes by colour, of generated pairs or of real ones.

    python -m jmim.main --config=configs/segment_scenes.py --workdir=W
    python -m jmim.main --workdir=REAL \
      --config=configs/segment_scenes.py:pairs=scenes/one,read=instance

The first reads `word_masks`, after diffumask_masks_scenes.
Arguments: pairs=word_masks (data set), read=mask (entry that holds the masks),
folder= (its data_dir), num=300 (pairs trained on), steps=600, fold=-1 (of
folds=4 that is left out, for jmim.tools.filter_pairs; -1: none).

Not yet measured here.

Size: 0.245 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.data import folds


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    pairs="word_masks",
    read="mask",
    folder="",
    num=300,
    steps=600,
    fold=-1,
    folds=4,
  )
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  split = folds.without(arg.fold, arg.folds)
  if arg.num and arg.fold < 0:
    split = f"train[:{arg.num}]"
  config.data.update(
    name=arg.pairs,
    data_dir=arg.folder,
    train_split=split,
    batch=32,
    size=32,
    mean=half,
    std=half,
    blur_share=0.2,
    blur_sigma=(0.1, 1.0),
  )
  config.method = configs.section(
    type="dense.segment",
    size=32,
    classes=6,
    read=arg.read,
    by_class=True,
    net=dict(width=16, multipliers=(1, 2, 4)),
    pasted=dict(warp=0.3, occlude=0.3, splice=0.3),
  )
  config.optim.update(lr=2e-3, b2=0.99, weight_decay=0.01)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=300, log_steps=50)
  config.evals.iou = configs.section(type="semantic", limit=500)
  return config
