"""I-JEPA pre-training on ImageNet-1k, the recipe of the paper.

    python -m jmim.main --config=configs/ijepa_imagenet.py:variant=H/14 \
      --config.data.data_dir=DIR --workdir=WORKDIR

Arguments: variant=B/16 | L/16 | H/14 | g/16, epochs=300, batch=2048.

Reference (authors; not repeated here): linear probe 72.9 (B/16, 600 epochs),
77.5 (L/16, 600), 79.3 (H/14, 300).

Size: 653 M parameters.
Time: not measured.
Expect: the authors' linear probe of B/16, 600 epochs, not repeated: 72.9 %.
"""

from jmim.core import choices
from jmim.core import config as configs

IMAGES = 1_281_167
DEPTHS = {"B": 6, "g": 16}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="H/14", epochs=300, batch=2048)
  choices.at_least(arg, batch=1)
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=224,
    host_crop="resized",
    crop_scale=(0.3, 1.0),
    flip=False,
    eval_crop="center",
    eval_resize=256,
  )
  config.method = configs.section(
    type="mim.ijepa",
    dims=dict(variant=arg.variant),
    size=224,
    predictor_dims=dict(width=384, depth=DEPTHS.get(arg.variant[0], 12)),
    masks=dict(targets=4, context_tokens=112, min_keep=10),
    target=dict(momentum=0.996, steps=arg.epochs * IMAGES // arg.batch),
  )
  config.optim.update(
    name="adamw", lr=1e-3, b2=0.999, weight_decay=0.04, weight_decay_end=0.4
  )
  config.schedule.update(
    name="cosine", warmup_epochs=40.0, start_lr=2e-4, min_lr=1e-6
  )
  config.train.update(
    total_epochs=float(arg.epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_epochs=5.0, limit=2 * arg.batch)
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
