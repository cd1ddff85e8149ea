"""DifFace's restorer at the published size: SwinIR on FFHQ at 512 px.

DIR/train holds the 70,000 images of FFHQ at 512 px or more, in any folders;
what is spoilt is drawn inside the step (docs/data.md: `face`).

    python -m jmim.main --config=configs/restorer_ffhq512.py --workdir=R \
      --config.data.data_dir=DIR

task=inpaint: 256 px with boxes missing and a mask beside, for
difface_ffhq512:task=inpaint; the authors have LaMa's generator there, and its
masks.

Arguments: task=faces (inpaint), steps=300000, batch=32.

Size: 15.8 M parameters.
Time: not measured.
Expect: not measured here; the authors give no numbers of it alone.
"""

from jmim.core import choices
from jmim.core import config as configs

TASKS = {
  "faces": dict(size=512),
  "inpaint": dict(
    size=256,
    degraded=dict(degradation="none"),
    holes=dict(boxes=3, sides=(0.1, 0.5)),
  ),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, task="faces", steps=300_000, batch=32)
  choices.check(arg, task=TASKS)
  fields = TASKS[arg.task]
  config = configs.base()
  config.data.update(
    name="folder",
    batch=arg.batch,
    size=fields["size"],
    host_crop="center",
    eval_crop="center",
    eval_share=0.02,
    flip=True,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
  )
  config.method = configs.section(
    type="restore.restorer", net=configs.section(type="swinir"), **fields
  )
  config.optim.update(lr=5e-5, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="cosine", min_lr=5e-6, warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    restoration=configs.section(
      type="restoration", every_steps=10_000, limit=512
    )
  )
  return config
