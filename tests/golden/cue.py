"""CUE (zheng980629/CUE): both priors, the unfolding, every loss."""

import dataclasses

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import family as families
from jmim.convert import table
from jmim.convert.tables import cue as convert
from jmim.convert.tables import mae as mae_table
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import masked_prior
from jmim.methods.restore import cue
from jmim.methods.restore import cue_light
from jmim.methods.restore import cue_noise

SKIPPED = {}
LIGHT = f"net.{convert.LIGHT}"
# Ours -> theirs.
FOUND = {
  "image": "enhanced",
  "enhanced": "enhanced_L",
  "light": "L",
  "restored": "restored_R",
  "reflectance": "R",
  "noise": "noise",
  "stepped": "L_hat",
}
TERMS = {
  "low": "lowRecon",
  "truth": "gtRecon",
  "reflectance": "refl",
  "input_low": "mutIn_low",
  "input_truth": "mutIn_gt",
  "mutual": "mut",
  "mutual_enhanced": "mut_enh",
  "image": "pixel",
  "light": "enhIllu",
  "slopes": "enhTV",
  "restored": "reflRestore",
  "prior": "noisePrior",
}


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def dims(config):
  return dict(
    variant=f"Ti/{config['patch_size']}",
    width=config["embed_dim"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=float(config["mlp_ratio"]),
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior(cue_noise.CueNoise):
  """Predicts a picture of any number of channels."""

  shades: int

  @property
  def decoder(self):
    return super().decoder.clone(out=self.dims.patch**2 * self.shades)


def noise_method(config):
  """The prior of noise."""
  c = config["mae"]
  return field.replace(
    Prior(shades=c["out_chans"]),
    size=c["img_size"],
    channels=c["in_chans"],
    dims=dims(c),
    decoder_dims=dict(
      width=c["decoder_embed_dim"],
      depth=c["decoder_depth"],
      heads=c["decoder_num_heads"],
    ),
    mask_ratio=config["mask_ratio_pretrain"],
    cell=c["patch_size"],
  )


def method(config, params, shared):
  """The enhancer."""
  c = config["unfold"]
  channels = c["illu_channel"], c["refl_channel"], c["noise_channel"]
  assert channels == (1, 3, 3)
  outputs = lambda name: params[f"net.{name}.weight"].shape[0]
  return field.replace(
    cue.CUE(),
    size=config["mae"]["img_size"],
    unfold=dict(
      stage=c["stage"],
      width=c["num_feat"],
      prior_width=outputs(f"{convert.LIGHT}convpre"),
      alpha=float(c["alpha"]),
      beta=float(c["beta"]),
      mu=float(c["mu"]),
    ),
    fuse=dict(width=outputs("restoraRefl_model.extract")),
    ratio=float(c["ratio"]),
    prior=dict(
      dims=dims(config["mae"]),
      mask_ratio=config["mask_ratio_inside_noise_prior_loss"],
      shared_mask=shared,
    ),
  )


def run(case):
  made, encoder = prior_of_noise(case)
  made |= prior_of_light(case) | enhancer(case, encoder)
  return golden_kit.asked(case, made)


def prior_of_noise(case):
  """The outputs of the MAE; and its encoder."""
  m, i = noise_method(case.config), case.inputs
  given = jnp.asarray(golden_kit.images(i["hog_target"]))

  class Given(type(m)):
    """The picture is that of the case."""

    def shown(self, images):
      return given

  m = Given(**vars(m))
  m.inputs()  # checks that the case fits together
  batch = {"image": golden_kit.images(i["low"])}
  theirs = golden_kit.below(case.params, "mae.")
  params = golden_kit.import_main(m, mae_table.full(m), theirs, batch)
  draws = {"noise": jnp.asarray(i["mask_noise_low"])}
  out = jax.jit(m.forward)(params, batch, draws)
  loss, _ = jax.jit(m.loss)(methods.Weights(params), batch, draws, 0)
  return {
    "mae_pred": out["pred"],
    "mae_mask": out["mask"].mask,
    "mae_latent": out["latent"],
    "mae_hog_loss": loss,
  }, params["main"]["encoder"]


def prior_of_light(case):
  """The map and the features that the enhancer reads."""
  theirs = golden_kit.below(case.params, LIGHT)
  m = cue_light.CueLight(width=len(theirs["convpre.weight"]))
  params = table.import_tree(convert.light(m), theirs)
  seen = golden_kit.images(case.inputs["illu_in"])
  light = jax.jit(m.light)(params, seen)
  found, _ = jax.jit(m.encoder.apply)({"params": params["encoder"]}, seen)
  return {"illu_prior": nchw(light), "illu_prior_feat": nchw(found)}


def enhancer(case, encoder):
  """What is found, and the losses."""
  i, masks = case.inputs, {"made": "mask_noise_out", "truth": "mask_noise_gt"}
  draws = {k: jnp.asarray(i[v]) for k, v in masks.items() if v in i}
  m = method(case.config, case.params, shared="truth" not in draws)
  m.inputs()
  family = convert.FAMILIES["cue"]
  whole = golden_kit.below(case.params, "net.")
  used = {r.theirs for r in convert.enhancer(m)}
  left = [n for n in whole if n not in used]
  assert all(families.matches(family.ignored, n) for n in left), left
  read = {n: x for n, x in whole.items() if n in used}
  pair = [golden_kit.images(i[name]) for name in ("low", "gt")]
  m = field.replace(m, degraded={"degradation": "pairs"})
  batch = {"pair": jnp.stack(pair, 1)}
  params = golden_kit.import_main(m, convert.enhancer(m), read, batch)
  weights = methods.Weights(params, consts={masked_prior.NAME: encoder})

  @jax.jit
  def found(weights, batch, draws):
    """In one program, which has each network once."""
    seen, true = m.both(weights.params["main"], *pair)
    loss, terms = m.loss(weights, batch, draws, 0)
    features = m.prior.features(encoder, seen["image"], draws["made"])
    return seen, true, loss, terms, features

  seen, true, loss, terms, features = found(weights, batch, draws)
  return {
    **{theirs: nchw(seen[ours]) for ours, theirs in FOUND.items()},
    "gt_L": nchw(true["light"]),
    "gt_R": nchw(true["reflectance"]),
    **{f"loss_{theirs}": terms[ours] for ours, theirs in TERMS.items()},
    "loss_total": loss,
    "noise_prior_l1_unweighted": terms["prior"] / m.losses.prior,
    "feat_enhanced": features,
  }
