import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import liif
from jmim.nn import resize
from jmim.nn.nets import anysize
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec

SIZE = codec.Size(width=4, multipliers=(1, 2), latent=3, blocks=1)
NET = anysize.AnySize(size=SIZE, implicit=liif.Dims(hidden=(5,)))
PLAIN = dataclasses.replace(NET, implicit=liif.Dims(hidden=()))


@functools.cache
def params(net):
  return jax.jit(net.init)(jax.random.key(0))


def test_the_decoder_keeps_the_side_and_ends_without_a_norm():
  names = set(params(NET)["decoder"])
  assert {"post_quant", "up1_0", "up0_1"} <= names
  assert not names & {"norm_out", "up1_conv"}
  z = jnp.zeros((2, 3, 5, 3))
  features = jax.eval_shape(NET.features, params(NET), z)
  assert features.shape == (2, 3, 5, SIZE.width)


@pytest.mark.parametrize("attend_at, levels", [((2,), {0, 1}), ((1,), set())])
def test_attention_is_at_all_levels_of_the_decoder_or_at_none(
  attend_at, levels
):
  net = dataclasses.replace(
    NET, size=dataclasses.replace(SIZE, attend_at=attend_at)
  )
  decoder = jax.eval_shape(net.init, jax.random.key(0))["decoder"]
  found = {int(n[2]) for n in decoder if "attention" in n and n[:2] == "up"}
  assert found == levels and "middle_attention" in decoder


def test_any_size_is_rendered_and_a_grid_in_a_grid_has_its_colours(normal):
  z = normal(2, 3, 3, 3)
  render = jax.jit(NET.render, static_argnums=2)
  assert render(params(NET), z, (7, 4)).shape == (2, 7, 4, 3)
  # Sides 5 and 15 share centres; the cells differ, so these are asked alike.
  features = NET.features(params(NET), z)
  shared = liif.places((15, 15)).reshape(15, 15, 2)[1::3, 1::3]
  np.testing.assert_allclose(
    shared.reshape(-1, 2), liif.places((5, 5)), atol=1e-6
  )
  at = jnp.broadcast_to(liif.places((5, 5)), (2, 25, 2))
  found = NET.query(params(NET), features, at, jnp.asarray(liif.cells((5, 5))))
  small = render(params(NET), z, (5, 5))
  np.testing.assert_allclose(found.reshape(small.shape), small, atol=1e-5)


def test_the_baseline_is_the_usual_decoder_and_bicubic(normal):
  z = normal(2, 3, 3, 3)
  usual = autoencoder.Autoencoder(SIZE)
  like = jax.eval_shape(usual.init, jax.random.key(0))
  assert jax.tree.structure(like) == jax.tree.structure(params(PLAIN))
  image = jax.jit(usual.decode)(params(PLAIN), z)
  np.testing.assert_allclose(
    jax.jit(PLAIN.decode)(params(PLAIN), z), image, atol=1e-5
  )
  found = jax.jit(PLAIN.render, static_argnums=2)(params(PLAIN), z, (11, 4))
  np.testing.assert_allclose(found, resize.images(image, (11, 4)), atol=1e-5)


def test_a_function_without_hidden_layers_is_linear(normal):
  """Not the baseline: colours are a linear map of features and places."""
  net = dataclasses.replace(NET, implicit=liif.Dims(hidden=(), linear=True))
  own = params(net)["implicit"]
  assert set(own) == {"fc0"} and own["fc0"]["kernel"].shape == (8, 3)
  features = normal(1, 1, 1, 4)
  place, cell = normal(1, 6, 2) / 9, jnp.full((1, 6, 2), 0.3)
  seen = np.concatenate([np.tile(features[0], (1, 6, 1))[0], place[0]], 1)
  seen = np.concatenate([seen, cell[0]], 1)
  want = seen @ own["fc0"]["kernel"] + own["fc0"]["bias"]
  found = net.query(params(net), features, place, cell)
  np.testing.assert_allclose(found[0], want, atol=1e-5)


def test_decoding_has_the_side_of_the_images_or_the_one_it_is_given():
  z = jax.ShapeDtypeStruct((1, 3, 3, 3), jnp.float32)
  side = lambda net: jax.eval_shape(net.decode, params(NET), z).shape[1]
  assert side(NET) == 6
  larger = dataclasses.replace(NET.implicit, side=13)
  assert side(dataclasses.replace(NET, implicit=larger)) == 13


def build(variant, **fields):
  own = {n: fields.pop(n) for n in ("hidden", "side") if n in fields}
  implicit = liif.Dims(**{"hidden": ()} | own)
  fields = dict(width=4, blocks=1, codes=0) | fields
  anysize.check(variant, fields["codes"], implicit)
  rt = runtime.Runtime()
  return anysize.build(variant, implicit=implicit, rt=rt, **fields)


def test_a_variant_is_built_with_a_function_or_without():
  assert isinstance(build("kl-f4"), autoencoder.Autoencoder)
  net = build("ae-f4", hidden=(5,), side=9)
  assert (net.gaussian, net.implicit.side, net.size.factor) == (False, 9, 4)
  assert build("kl-f4-z32", hidden=(5,)).gaussian


@pytest.mark.parametrize(
  "variant, fields, seen",
  [
    ("ae-f4", {}, "need such a function"),
    ("kl-f4", dict(side=9), "need such a function"),
    ("vq-f4", dict(codes=4, hidden=(5,)), "behind kl and ae"),
    ("ae-f4", dict(codes=4, hidden=(5,)), "nor has ae"),
  ],
)
def test_what_a_kind_cannot_have_is_refused(variant, fields, seen):
  with pytest.raises(ValueError, match=seen):
    build(variant, **fields)
