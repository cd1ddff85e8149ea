"""VideoMAE V2 pre-training on clips of 16 frames, the recipe of the paper.

    python -m jmim.main --config=configs/videomae_v2_k400.py:variant=g/14 \
      --config.data.data_dir=DIR --workdir=WORKDIR

Arguments: variant=B/16 | L/16 | H/16 | g/14, videos per step and epochs (0:
those of the variant), stride=4 (SSv2: 2).

Rates are per video, of which each gives four clips: the total batch is four
times `videos`. Crops are random resized ones of the areas that the authors'
four scales of the short side span (0.66^2 to 1), not at corners and centre.
Reference (authors; not repeated here): g/14 on 1.35 M clips,
fine-tuned: K400 87.2 (88.4 after K710), SSv2 77.0.

Size: 94.2 M parameters.
Time: not measured.
Expect: the authors' K400 top-1 of g/14, fine-tuned, not repeated: 87.2 %.
"""

from jmim.core import config as configs

SAMPLES = 4
# Videos per step, epochs.
RUNS = {"B": (1024, 200), "L": (1536, 300), "H": (2048, 300), "g": (2048, 300)}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="B/16", videos=0, epochs=0, stride=4)
  usual = RUNS.get(arg.variant[0], RUNS["B"])
  videos, epochs = arg.videos or usual[0], arg.epochs or usual[1]
  giant = arg.variant.startswith("g")
  config = configs.base()
  config.data.update(
    name="kinetics400",
    batch=SAMPLES * videos,
    size=224,
    frames=16,
    stride=arg.stride,
    repeat_samples=SAMPLES,
    host_crop="resized",
    crop_scale=(0.44, 1.0),
    flip=False,
  )
  config.method = configs.section(
    type="video.videomae_v2",
    dims=dict(variant=arg.variant),
    size=224,
    frames=16,
    tubelet=2,
    decoder_dims=dict(depth=4),
    masks=dict(mask_ratio=0.9, decoder_ratio=0.5),
  )
  rate = (6e-4 if giant else 1e-3) * videos / 256
  config.optim.update(
    name="adamw",
    lr=rate,
    b1=0.9,
    b2=0.95,
    weight_decay=0.05,
    clip_norm=0.02 if giant else 0.0,
  )
  config.schedule.update(
    name="cosine",
    warmup_epochs=epochs / 10,
    min_lr=1e-5 * videos / 256,
  )
  config.train.update(
    total_epochs=float(epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.hardware.remat = "full" if arg.variant[0] in "Hg" else "none"
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
