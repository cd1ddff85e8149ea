"""SDEdit on the scattered digits: each is made another digit.

    python -m jmim.main --config=configs/ldm_digits.py:pixels=True \
      --workdir=runs/ldm
    python -m jmim.main --mode=apply --config=configs/img2img_digits.py \
      --workdir=runs/edited --config.procedure.source.path=runs/ldm
    ... --config.procedure.strength=0.3 --config.apply.store=edited

Arguments: source= (a run of a diffusion method on digits/scattered), strength.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, source="", strength=0.6)
  config = configs.procedure()
  config.data.update(
    name="digits/scattered",
    batch=64,
    size=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.procedure = configs.section(
    type="edit.img2img",
    source=configs.section(
      path=arg.source, recipe="configs/ldm_digits.py:pixels=True"
    ),
    strength=arg.strength,
    told="random",
    guidance=2.0,
    clip=1.0,
  )
  config.apply.num = 256
  config.evals = configs.section(
    change=configs.section(type="restoration", predict="apply"),
  )
  return config
