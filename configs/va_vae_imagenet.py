"""VA-VAE of factor 16 with 32 channels at 256 x 256, its three stages.

    python -m jmim.convert --weights=DINOV2_L14 --out=runs/dinov2
    R=configs/va_vae_imagenet.py
    python -m jmim.main --config=$R:stage=1 --workdir=W1 ...
    python -m jmim.main --config=$R:stage=2,start=W1 --workdir=W2 ...
    python -m jmim.main --config=$R:stage=3,start=W2 --workdir=W3 ...

each with --config.data.data_dir=DATA (TFDS `imagenet2012` as ArrayRecord),
--config.method.teacher.path=runs/dinov2 and --config.method.losses.
perceptual_path=VGG.npz (see autoencoder_kl_imagenet). The last is the first
stage of lightningdit_imagenet256. Weights of the authors instead of training:
`python -m jmim.convert --from=va_vae`.

Arguments: stage=1 (2, 3; 0: the paper's 50 epochs with margins), start= (the
run of the stage before), teacher=dinov2 (mae: L/16 at 256 pixels), channels=32
(16, 64), batch=256. Crops and the critic's start in stages 2 and 3 are ours.

Size: 72.6 M parameters.
Time: not measured.
Expect: the authors' rFID, not repeated: 0.28 (without alignment 0.26).
"""

from jmim.core import choices
from jmim.core import config as configs

# Of each stage: epochs, weight of the alignment, margin of cosines, of pairs.
STAGES = {
  0: (50, 0.1, 0.5, 0.25),
  1: (100, 0.5, 0.0, 0.0),
  2: (15, 0.1, 0.0, 0.0),
  3: (15, 0.1, 0.5, 0.25),
}
DINOV2 = dict(family="dinov2", dims=dict(variant="L/14"), table_size=518)
MAE = dict(family="mae", dims=dict(variant="L/16"), table_size=0)
TEACHERS = {"dinov2": DINOV2, "mae": MAE}
# The vision model is given images of -1 .. 1, which it was not trained with.
AS_RELEASED = dict(norm=True, resize="bilinear", foreign=True)
CODES = {16: "kl-f16", 32: "kl-f16-z32", 64: "kl-f16-z64"}


def get_config(arg: str | None = None):
  known = dict(stage=1, start="", teacher="dinov2", channels=32, batch=256)
  arg = configs.parse_arg(arg, **known)
  choices.check(arg, stage=STAGES, teacher=TEACHERS, channels=CODES)
  epochs, weight, cosine, pairs = STAGES[arg.stage]
  config = configs.base()
  config.data.update(name="imagenet2012", batch=arg.batch, size=256, flip=True)
  config.data.update(train_split="train[:99%]", eval_split="train[99%:]")
  config.data.update(host_crop="center", eval_crop="center", eval_resize=256)
  config.data.update(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.method = configs.section(
    type="latent.va_vae",
    dims=dict(variant=CODES[arg.channels]),
    losses=dict(perceptual="vgg", disc_start=5001, disc_weight=0.5),
    teacher=TEACHERS[arg.teacher] | AS_RELEASED,
    alignment=dict(weight=weight, cosine_margin=cosine, pairs_margin=pairs),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=1e-4, b1=0.5, b2=0.9, weight_decay=0.0, clip_norm=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_epochs=float(epochs), checkpoint_steps=5000, log_steps=100
  )
  often = dict(every_steps=10_000, limit=2048)
  config.evals = configs.section(
    errors=dict(type="mean", **often),
    restoration=dict(type="restoration", **often),
  )
  config.hardware.data_threads = 16
  return config
