"""DiffUHaul at its published size: real pictures of 512 px.

Examples hold `image`, `ellipses` [10, 5], `tokens` [77] and `thing_tokens` [10,
24], as in blob_published, a run of which BASE is; and what a user asks for:
`dragged`, the number of the thing that moves, int32, and `drag_to` [2], its new
centre (x, y) in shares of the side.

    python -m jmim.main --mode=apply --config=configs/diffuhaul_published.py \
      --workdir=W --config.data.name=NAME --config.data.data_dir=DIR \
      --config.procedure.source.path=BASE
    python -m jmim.main --mode=dry_run --topology=v5e:4x4 \
      --config=configs/diffuhaul_published.py

Argument: batch=16 images (one a chip of v5e:4x4).

Reference: best of the methods compared (the authors'; without numbers here).

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, batch=16)
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="blobs512",
    eval_split="test",
    batch=arg.batch,
    size=512,
    mean=half,
    std=half,
  )
  config.procedure = configs.section(
    type="edit.diffuhaul",
    source=configs.section(recipe="configs/blob_published.py"),
    drag=configs.section(stored=True),
    begin=configs.section(real=True),
    guidance=7.5,
  )
  config.apply.num = 1000
  return config
