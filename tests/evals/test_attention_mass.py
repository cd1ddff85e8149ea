import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import attention_mass

RNG = np.random.default_rng(0)


def measured(*outs, **fields):
  context = evalkit.context(size=8)
  context.outputs = lambda *args, **kwargs: iter([(out, {}) for out in outs])
  fields = {"inside": "mask"} | fields
  return dict(attention_mass.Evaluator(**fields).run(context))


def test_mass_is_the_share_inside():
  mask = np.zeros((2, 8, 8), bool)
  mask[0, :4], mask[1, :2, :4] = True, True
  maps = RNG.random((2, 8, 8)) - 0.1
  found = measured(
    {"word_map": maps[:1], "mask": mask[:1]},
    {"word_map": maps[1:], "mask": mask[1:]},
  )
  positive = maps * (maps > 0)
  shares = [(positive[i] * mask[i]).sum() / positive[i].sum() for i in range(2)]
  assert found["mass"] == pytest.approx(100 * np.mean(shares))
  assert found["area"] == pytest.approx(100 * (0.5 + 0.125) / 2)
  assert found["examples"] == 2


def test_an_even_map_has_the_mass_of_the_area_and_one_inside_all_of_it():
  mask = RNG.random((3, 8, 8)) < 0.3
  even = measured({"word_map": np.ones((3, 8, 8)), "mask": mask})
  assert even["mass"] == pytest.approx(even["area"])
  assert measured({"word_map": 2.0 * mask, "mask": mask})["mass"] == 100


def test_the_box_in_the_middle_is_as_large_as_the_mask():
  mask = np.zeros((2, 16, 16), bool)
  mask[0, :8, :8], mask[1, 6:10, 6:10] = True, True
  box = attention_mass.centre(mask)
  np.testing.assert_array_equal(box.sum((1, 2)), mask.sum((1, 2)))
  np.testing.assert_array_equal(box[1], mask[1])
  found = measured({"word_map": np.ones((2, 16, 16)), "mask": mask})
  assert found["centre"] == pytest.approx(100 * (0.25 + 1) / 2)


def test_several_maps_of_an_example_have_one_mask_or_one_each():
  maps, mask = RNG.random((2, 3, 8, 8)), RNG.random((2, 8, 8)) < 0.5
  one = measured({"word_map": maps, "mask": mask})
  each = np.broadcast_to(mask[:, None], maps.shape)
  assert measured({"word_map": maps, "mask": each}) == one
  assert one["examples"] == 6


def test_what_is_empty_is_left_out():
  maps, mask = np.ones((3, 8, 8)), np.ones((3, 8, 8), bool)
  maps[0], mask[1] = 0, False
  assert measured({"word_map": maps, "mask": mask})["examples"] == 1
  with pytest.raises(errors.UserError, match="anything in it"):
    measured({"word_map": 0 * maps, "mask": mask})


def test_another_shape_is_refused():
  with pytest.raises(errors.UserError, match=r"\(8, 8\) and masks \(4, 4\)"):
    measured({"word_map": np.ones((1, 8, 8)), "mask": np.ones((1, 4, 4))})
