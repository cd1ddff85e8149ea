import jax
import numpy as np

from jmim.core import randomness
from jmim.methods.parts import heard


def test_special_tokens_are_those_of_the_fields():
  special = heard.Text(pad=3, end=7).special
  assert (special.pad, special.end) == (3, 7)


def test_places_are_shares():
  keys = randomness.Keys(jax.random.key(0))
  place = np.asarray(heard.draw(keys, 1000)["place"])
  assert place.shape == (1000,) and 0 <= place.min() and place.max() < 1
  assert abs(place.mean() - 0.5) < 0.05
