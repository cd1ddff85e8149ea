"""Step-Video's Video-VAE at its published size, 17 frames a chunk.

Data: a video data set of TFDS in --config.data.data_dir (Kinetics-400 here;
the authors' clips are not public).

    python -m jmim.main --config=configs/autoencoder3d_k400.py:stage=1 \
      --workdir=A --config.method.losses.perceptual_path=VGG.npz
    ... :stage=2,source=A     the dual paths alone learn
    ... :stage=3,source=B     and the middle
    ... :stage=4,source=C     and all else; then the critic
    ... :stage=image          stage 1 on single frames, before it

Arguments: stage=4 (1, 2, 3, image; adaptive: LaVin-DiT's ST-VAE), source= (the
run before), size=256, batch=64, steps=100000.

Published weights instead of training: `python -m jmim.convert
--from=step_video_vae` (stage 4), `--from=lavin_stvae` (stage=adaptive).
Losses, batch, lengths and rates are ours: only inference is published.

Size: 502 M parameters.
Time: not measured.
Expect: nothing published of the autoencoder alone.
"""

from jmim.core import choices
from jmim.core import config as configs

# stage -> (variant, what learns, frames of a clip).
STAGES = {
  "image": ("deep-f4x8", "all", 1),
  "1": ("deep-f4x8", "all", 17),
  "2": ("deep-f8x16", "dual", 17),
  "3": ("deep-f8x16", "middle", 17),
  "4": ("deep-f8x16", "all", 17),
  "adaptive": ("adaptive-f4x8", "all", 17),
}
FRESH = (r"conv_(un)?patchify/", r"encoder/conv_out/", r"decoder/conv_in/")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="4", source="", size=256, batch=64, steps=100_000
  )
  choices.check(arg, stage=STAGES)
  variant, trains, frames = STAGES[arg.stage]
  config, half = configs.base(), (0.5, 0.5, 0.5)
  config.data.update(
    name="kinetics400",
    batch=arg.batch,
    size=arg.size,
    frames=frames,
    stride=1,
    host_crop="resized",
    crop_scale=(0.2, 1.0),
    eval_crop="center",
    eval_resize=arg.size,
    flip=True,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="video.autoencoder3d",
    dims=configs.section(variant=variant),
    size=arg.size,
    frames=frames,
    trains=trains,
    losses=configs.section(perceptual="vgg", disc_start=arg.steps // 2),
  )
  if arg.source:
    config.init_from.path = arg.source
    config.init_from.reinit = FRESH if arg.stage == "2" else ()
  config.optim.update(lr=1e-4, b1=0.5, b2=0.9, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=1000)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  means = configs.section(type="mean", every_steps=5000, limit=1024)
  config.evals = configs.section(errors=means)
  config.hardware.data_threads = 16
  config.hardware.remat = "full"
  return config
