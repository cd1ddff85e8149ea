"""DiffRate on one small shape in noise: the small run of the card.

    python -m jmim.main --config=configs/diffrate_spots.py:stage=classifier \
      --workdir=runs/spots --config.data.data_dir=DIR
    python -m jmim.main --config=configs/diffrate_spots.py --workdir=runs/W \
      --config.method.classifier.path=runs/spots --config.data.data_dir=DIR
    python -m jmim.tools.token_counts --workdir=runs/W
    ... --config=configs/diffrate_spots.py:lists=runs/W --workdir=runs/cut

Arguments: stage=search (classifier), share=0.55 of the FLOPs as the target,
lists="" (the workdir of a search, or uniform: the same share goes in each
block; then the logits are those of a network that loses its tokens, and one
step is run), order=importance (random), steps=0: 500 of the classifier, 300 of
the search. ViT 96x6, 64 patches, head on the class token.

What it is for: `python -m jmim.tools.claim diffrate`. After 2000 steps the
classifier is at 99.4 %, with the counts found for 55 % of its FLOPs at 98.0 %
(after 500 at 58 %).

Size: 160 parameters.
Time: not measured.
Expect: 98.0 % with 55 % of the FLOPs (99.4 % with all), classifier of 2000
steps.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.methods.parts import token_counts
from jmim.methods.parts import token_lists
from jmim.nn import sizes
from jmim.tools import token_counts as tool

DIMS = dict(variant="Ti/4", width=96, depth=6, heads=4)
HOW = dict(patch=4, patches=64, classes=4)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="search", share=0.55, lists="", order="importance", steps=0
  )
  choices.check(arg, stage=("search", "classifier"))
  config = configs.base()
  half, quarter = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
  config.data.update(
    name="shapes/spots", batch=128, size=32, flip=False, mean=half, std=quarter
  )
  unmixed = dict(mixup=0.0, cutmix=0.0, smoothing=0.1)
  size = sizes.Dims(**DIMS).size
  target = arg.share * float(token_counts.flops(([65] * 6,) * 2, size, **HOW))
  lists = {}
  if arg.lists == "uniform":
    same = token_lists.uniform(target, size, **HOW)
    lists = dict(prune=same, merge=same)
  elif arg.lists:
    lists = tool.lists(arg.lists)
  common = dict(size=32, classes=4, mixing=unmixed, drop_path=0.0)
  if arg.stage == "classifier":
    config.method = configs.section(
      type="supervised.backbone", dims=DIMS, **common
    )
    config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.05)
    config.schedule.update(warmup_steps=50)
  else:
    config.method = configs.section(
      type="supervised.diffrate",
      classifier=dict(path="", kind="backbone", dims=DIMS),
      counts=dict(target=target / 1e7, flops_unit=1e7, weight=5.0),
      lists=dict(order=arg.order, **lists),
      **common,
    )
    config.optim.update(lr=0.01, b2=0.999, weight_decay=0.0)
    config.schedule.update(min_lr=0.001)
  steps = 500 if arg.stage == "classifier" else 1 if lists else 300
  config.train.update(
    total_steps=arg.steps or steps, checkpoint_steps=250, log_steps=25
  )
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy"), loss=configs.section(type="loss")
  )
  return config
