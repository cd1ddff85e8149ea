import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import method
from jmim.diffusion import perturb
from jmim.methods.parts import texture

TOY = toydiffusion.make()


def test_a_board_is_the_same_for_all_images():
  made = texture.Texture(fields=4)
  image = method.Input(TOY.image)
  assert made.inputs(image) == {}
  z = made.encoded(TOY, {"image": jnp.zeros((3, *TOY.image))})
  board = perturb.checks(TOY.image, 4)[None]
  np.testing.assert_array_equal(z, TOY.encode(jnp.asarray(board)))


def test_checks_are_at_least_a_pixel():
  image = method.Input((9, 8, 3))
  assert texture.Texture(fields=8).inputs(image) == {}
  assert texture.Texture(kind="batch", fields=9).inputs(image)
  with pytest.raises(ValueError, match=r"target.fields=9 .* \(9, 8\)"):
    texture.Texture(fields=9).inputs(image)


def test_a_texture_may_be_stored_with_each_image():
  made, image = texture.Texture(kind="batch"), method.Input(TOY.image)
  assert made.inputs(image) == {"target": image}
  batch = {"target": jnp.linspace(-1, 1, 2 * 192).reshape(2, 8, 8, 3)}
  found = made.encoded(TOY, batch)
  np.testing.assert_array_equal(found, TOY.encode(batch["target"]))
