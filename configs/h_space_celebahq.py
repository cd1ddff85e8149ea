"""Principal directions of a DDPM on CelebA-HQ 256, or of a DiT's tokens.

50 steps with eta 1; 50 000 samples, of which a stream holds 100 at once (theirs
1000, and 25 components between them).

    python -m jmim.main --mode=apply --config=configs/h_space_celebahq.py \
      --workdir=runs/h --config.procedure.source.path=BASE

Arguments: model=unet (dit: tokens in the middle of dit_imagenet256, with the
layers of `hardware.scan=off`), directions=pca (steps; jacobian: at step 25),
samples=50000.

BASE is a run of configs/ddpm_celebahq.py or the published weights; their
settings (renhaa/semantic-diffusion). Not run here: no weights, no images.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

CHOICES = {"model": ("unet", "dit"), "directions": ("pca", "steps", "jacobian")}
BASES = {
  "unet": ("configs/ddpm_celebahq.py", "after"),
  "dit": ("configs/dit_imagenet256.py:first_stage=runs/vae", "tokens"),
}


def get_config(arg: str | None = None):
  known = dict(model="unet", directions="pca", samples=50_000)
  arg = configs.parse_arg(arg, **known)
  choices.check(arg, **CHOICES)
  recipe, at = BASES[arg.model]
  jacobian = arg.directions == "jacobian"
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(batch=16, size=256, mean=half, std=half)
  config.procedure = configs.section(
    type="edit.h_space_jacobian" if jacobian else "edit.h_space",
    source=configs.section(recipe=recipe),
    walk=configs.section(
      place=configs.section(at=at), steps=50, eta=0.0 if jacobian else 1.0
    ),
  )
  if not jacobian:
    own = dict(by_step=arg.directions == "steps", components=25, block=100)
    config.procedure.update(carried=100, **own)
  if arg.model == "dit":
    config.hardware.scan = "off"  # a layer has a name only where it is unrolled
  config.apply.update(num=64, fit_num=0 if jacobian else arg.samples)
  return config
