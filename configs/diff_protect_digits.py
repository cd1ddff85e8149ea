"""Diff-Protect on the scattered digits: an LDM is kept from redrawing them.

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=AE
    python -m jmim.main --config=configs/ldm_digits.py:autoencoder=AE \
      --workdir=runs/ldm
    python -m jmim.main --mode=apply --config=configs/diff_protect_digits.py \
      --workdir=runs/protected --config.procedure.source.path=runs/ldm

Pictures, in runs/protected/applied/.../part_00000.png: the clean digits, the
protected ones, and the edit of both. Of all edits (one call, SDEdit, filling):
--config.procedure.readout.kinds="('once','sdedit','inpaint')".

Arguments: source= (a run of a latent diffusion model on digits/scattered),
attack=sds (sdst, latents, advdm, encoder, mist, random), direction=descent
(ascent), num=64 images.
`python -m jmim.tools.claim diff_protect` compares attacks.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, source="", attack="sds", direction="descent", num=64
  )
  config = configs.procedure()
  config.data.update(
    name="digits/scattered",
    batch=64,
    size=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.procedure = configs.section(
    type="edit.diff_protect",
    source=configs.section(
      path=arg.source, recipe="configs/ldm_digits.py:autoencoder=AE"
    ),
    attack=arg.attack,
    direction=arg.direction,
  )
  config.apply.num = arg.num
  config.evals = configs.section(
    natural=configs.section(type="restoration", predict="apply"),
    mimicry=configs.section(
      type="edits", edits=("sdedit",), source="clean_sdedit"
    ),
    encoder=configs.section(type="mean", predict="apply/encoder_gain"),
    denoiser=configs.section(type="mean", predict="apply/denoiser_gain"),
  )
  return config
