r"""The codes of digit_imagenet256: of DINOv2's features, and of pixels.

With a converted DINOv2 with registers (B/14; L/14 for size=large) and a run, or
converted weights, of a VQ autoencoder of factor 16 and 1024 codes:

    R="--config=configs/digit_codes_imagenet256.py"
    D=--config.data.data_dir=IMAGES
    python -m jmim.tools.make_codebook --out=features.npz --codes=8192 \
      --share=0.1 $R:stage=table,teacher=runs/dino $D
    python -m jmim.tools.cache_latents --output=codes --views=10 --out=DIR \
      --name=imagenet256_digit \
      $R:teacher=runs/dino,semantic=features.npz,pixels=runs/vq $D

Arguments: stage=codes (table), size=base (large), teacher=, semantic=, pixels=.

Not followed: the release crops 256 x 256 at random where the short side is 256;
here boxes of 80 to 100 % of the area are cut, and mirrored (for the table and
for evaluation the middle, as there). The ViT sees images at 224.

Size: 213 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

VARIANTS = {"base": ("B/14", 8192), "large": ("L/14", 16384)}
# Images are normalised as those of VQ autoencoders; the ViT's are ImageNet's.
HALF = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="codes", size="base", teacher="", semantic="", pixels=""
  )
  choices.check(arg, stage=("codes", "table"), size=VARIANTS)
  config, (variant, codes) = configs.base(), VARIANTS[arg.size]
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=256,
    size=256,
    host_crop="resized",
    crop_scale=(0.8, 1.0),
    flip=True,
    eval_crop="center",
    eval_resize=256,
    **HALF,
  )
  teacher = dict(
    family="dinov2_registers",
    path=arg.teacher,
    dims=dict(variant=variant),
    layer=-3,
    norm=True,
    table_size=518,
    **IMAGENET,
  )
  vectors = dict(size=256, patch=16, teacher=teacher, **HALF)
  config.evals = configs.section()
  config.train.total_steps = 1  # of what only makes codes
  if arg.stage == "table":
    config.method = configs.section(type="mim.codebook", codes=codes, **vectors)
    return config
  config.method = configs.section(
    type="discrete.digit_pixels",
    semantic=dict(read="images", vocabulary=codes, codebook=arg.semantic),
    pixels=dict(read="images", path=arg.pixels),
  )
  config.method.semantic.vectors = vectors
  return config
