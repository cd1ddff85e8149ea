"""ResShift at the published sizes: ImageNet x4, and faces of 512 px.

Data: `imagenet2012` of TFDS, or a folder of faces (FFHQ at 512 px) with
task=faces. Images are degraded on the device. AE: a run of a quantised
autoencoder, or `python -m jmim.convert --from=ldm_first_stage` of LDM's VQ-f4
(of faces: ResShift's with 8 channels, whose widths here are from memory).

    python -m jmim.main --config=configs/resshift_imagenet.py:autoencoder=AE \
      --workdir=T --config.data.data_dir=DIR
    python -m jmim.main --mode=eval --workdir=T --allow_changes \
      --config.method.size=256 --config.method.swin.trained=64 \
      --config.data.size=1024

The second command restores images of 1024 px in tiles of 512.

Arguments: task=sr (faces), autoencoder=, steps=500000, batch=64. Steps, batch
and rate are as remembered.

Size: 119 M parameters.
Time: not measured.
Expect: LPIPS 0.231 on ImageNet-Test (the authors', from memory; not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs

# Data, side of images, first stage, degradation, process.
TASKS = {
  "sr": dict(
    data=dict(name="imagenet2012", eval_split="validation", size=256),
    first_stage=dict(variant="vq-f4", codes=8192),
    degraded=dict(degradation="real_esrgan", factor=4),
    noise=dict(times=15, least=0.04),
    channels=3,
  ),
  "faces": dict(
    data=dict(name="folder", size=512),
    first_stage=dict(variant="vq-f8-z8", codes=1024),
    degraded=dict(degradation="face", factor=1),
    noise=dict(times=4, least=0.2),
    channels=8,
  ),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, task="sr", autoencoder="", steps=500_000, batch=64
  )
  choices.check(arg, task=TASKS)
  task = dict(TASKS[arg.task])
  half = (0.5, 0.5, 0.5)
  config = configs.base()
  config.data.update(
    **task.pop("data"),
    batch=arg.batch,
    host_crop="center",
    eval_crop="center",
    mean=half,
    std=half,
  )
  task["first_stage"] |= dict(read="images", scale=1.0, path=arg.autoencoder)
  config.method = configs.section(type="restore.resshift", size=64, **task)
  config.optim.update(lr=5e-5, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="cosine", warmup_steps=5000, min_lr=2e-5)
  config.ema.decay = 0.999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    restoration=configs.section(
      type="restoration", every_steps=50_000, limit=1000, weights="ema"
    )
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
