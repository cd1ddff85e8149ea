"""DiffuMask's final masks at 512 px, of one class of PASCAL VOC.

    python -m jmim.main --mode=apply --workdir=W --config.data.data_dir=DIR \
      --config=configs/diffumask_masks_voc.py:label=2,affinity=AFFINITY
    python -m jmim.main --mode=dry_run --topology=v5e:4x4 \
      --config=configs/diffumask_masks_voc.py

reads the set `word_maps_<class>` of diffumask_voc and stores
`word_masks_<class>`. Arguments: label=2 (bird), affinity= (a run of
affinity_voc), batch=16 (one image a chip).

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data.procedural import prompts as texts


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, label=2, affinity="", batch=16)
  choices.check(arg, label=range(len(texts.CLASSES)))
  config = configs.procedure()
  half, name = (0.5, 0.5, 0.5), texts.CLASSES[arg.label]
  config.data.update(
    name=f"word_maps_{name}",
    eval_split="train",  # there is no other
    batch=arg.batch,
    size=512,
    mean=half,
    std=half,
  )
  config.procedure = configs.section(
    type="edit.diffumask_masks",
    affinity=dict(path=arg.affinity, recipe="configs/affinity_voc.py"),
  )
  config.apply.update(splits=("train",), store=f"word_masks_{name}")
  return config
