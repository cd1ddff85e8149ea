"""DiffuMask's final masks of generated scenes, stored as `word_masks`.

    python -m jmim.main --mode=apply --workdir=MASKS \
      --config=configs/diffumask_masks_scenes.py:affinity=AFFINITY
    python -m jmim.tools.draw_words --workdir=MASKS --out=masks.png

after diffumask_scenes and affinity_scenes.
Arguments: affinity= (a run of affinity_scenes), folder= (data_dir of the data
sets), maps=word_maps (set that is read), store=word_masks ("": nothing).

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, affinity="", folder="", maps="word_maps", store="word_masks"
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name=arg.maps, data_dir=arg.folder, batch=50, size=32, mean=half, std=half
  )
  config.procedure = configs.section(
    type="edit.diffumask_masks",
    affinity=dict(path=arg.affinity, recipe="configs/affinity_scenes.py"),
    walked_least=4,  # 250 and 1500 of 512 x 512 pixels
    least=8,
    crf=dict(near=1.0, place=8.0),
  )
  config.apply.update(splits=("train", "eval"), store=arg.store)
  config.evals.iou = configs.section(
    type="semantic", predict="apply", guess="mask", truth="thing"
  )
  return config
