import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@pytest.mark.parametrize("name", codec.SIZES)
def test_a_code_is_smaller_by_the_factor_in_the_name(name):
  net = autoencoder.Autoencoder(codec.size(name, width=32), 0)
  factor = int(name.split("-")[1].removeprefix("f"))
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  params = jax.eval_shape(net.init, jax.random.key(0))
  moments, _ = jax.eval_shape(net.encode, params, image)
  assert moments.shape == (1, 64 // factor, 64 // factor, 2 * net.size.code)
  z = jax.ShapeDtypeStruct(moments.shape[:3] + (net.size.code,), jnp.float32)
  assert jax.eval_shape(net.decode, params, z).shape == image.shape


def test_a_change_of_0_is_none_and_unknown_names_are_listed():
  plain = codec.size("kl-f8")
  assert codec.size("kl-f8", width=0, attend_at=()) == plain
  assert codec.size("kl-f8", blocks=1).blocks == 1
  with pytest.raises(ValueError, match="kl-f8, kl-f16"):
    codec.size("kl-f9")
  with pytest.raises(ValueError, match="vq-f4"):
    codec.Dims(variant="kl-f8").size(3, "vq")


@pytest.mark.parametrize(
  "fields, side, seen",
  [({}, 30, "does not divide by 8"), (dict(width=9), 32, "by 2 groups")],
)
def test_images_that_cannot_be_coded_are_refused(fields, side, seen):
  with pytest.raises(ValueError, match=seen):
    codec.size("kl-f8", **fields).check(side)


def test_groups_of_the_norms_can_be_given():
  assert codec.size("kl-f8").groups == 32
  assert codec.size("kl-f8", width=8).groups == 2
  given = codec.Dims(variant="kl-f4", width=8, norm_groups=4).size(3, "kl")
  assert given.groups == 4
  with pytest.raises(ValueError, match="by 3 groups"):
    codec.size("kl-f8", norm_groups=3).check(32)
  image = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
  run = lambda size: jax.make_jaxpr(
    lambda key, x: codec.Encoder(size).init_with_output(key, x)[0]
  )(jax.random.key(0), image)
  two, four = (
    str(run(dataclasses.replace(given, blocks=1, norm_groups=n)))
    for n in (2, 4)
  )
  assert two != four
