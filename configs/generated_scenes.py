"""What a captioner says of scenes, and its features of it, as a data set.

    python -m jmim.main --mode=apply --config=configs/generated_scenes.py \
      --workdir=W --config.procedure.captioner.path=runs/captioner \
      --config.apply.store=thoughts

Arguments: captioner= (a run of captioner_scenes), num=0 (of each split; 0:
all). The stored set holds generated [9, 64], generated_tokens [9] and the
image; configs/thinkdiff_scenes.py:variant=lvlm learns from it.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, captioner="", num=0)
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one", batch=64, size=32, flip=False, mean=half, std=half
  )
  config.procedure = configs.section(
    type="text.generated",
    captioner=configs.section(
      path=arg.captioner, recipe="configs/captioner_scenes.py"
    ),
  )
  config.apply.update(num=arg.num, splits=("train", "eval"))
  return config
