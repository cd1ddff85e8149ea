"""A segmenter of 512 px, of the pairs that DiffuMask makes of VOC's classes.

    python -m jmim.main --config=configs/segment_voc.py:label=2,fold=0 \
      --workdir=FOLD0 --config.data.data_dir=DIR
    python -m jmim.tools.filter_pairs --runs=FOLD0,FOLD1,FOLD2,FOLD3 \
      --out=keep.npy --least=0.5
    python -m jmim.main --config=configs/segment_voc.py:label=2 --workdir=W \
      --config.data.data_dir=DIR --config.data.keep=keep.npy

reads the set `word_masks_<class>` of diffumask_masks_voc. With classes=21 all
twenty sets are trained on, equally often, and a pixel is of the ground or of
one of the classes; pairs of the class `label` are held out and tested on, and
`data.keep` lists pairs of that class alone.

    python -m jmim.main --config=configs/segment_voc.py:classes=21 \
      --workdir=W --config.data.data_dir=DIR

The authors train Mask2Former (R50, Swin-B; 90,000 iterations at 512 px, batch
16) by its own recipe; it is not here, and this U-Net stands where it does.
Arguments: label=2 (bird), classes=2 (or 21), fold=-1, folds=4, steps=90000,
batch=16.

Reference: none of this network.

Size: 24.7 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data import folds
from jmim.data.procedural import prompts as texts

ALL = 1 + len(texts.CLASSES)  # and the ground


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, label=2, classes=2, fold=-1, folds=4, steps=90_000, batch=16
  )
  choices.check(arg, classes=(2, ALL), label=range(len(texts.CLASSES)))
  sets = [f"word_masks_{name}" for name in texts.CLASSES]
  config = configs.base()
  config.data.update(
    name=sets[arg.label],
    mixture=tuple((name, 1.0) for name in sets) if arg.classes == ALL else (),
    train_split=folds.without(arg.fold, arg.folds),
    eval_share=0.02,
    batch=arg.batch,
    size=512,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    blur_share=0.2,
    blur_sigma=(0.1, 3.0),
  )
  config.method = configs.section(
    type="dense.segment",
    size=512,
    classes=arg.classes,
    by_class=arg.classes == ALL,
    net=dict(width=64, multipliers=(1, 2, 4, 8), blocks=2, norm_groups=32),
    pasted=dict(
      warp=0.3,
      occlude=0.3,
      splice=0.5,
      grids=((1, 2), (2, 1), (2, 2), (3, 3), (5, 5), (8, 8)),
    ),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.05, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=500)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals.iou = configs.section(
    type="semantic", limit=500, every_steps=10_000
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
