"""Recipes say what is wrong with them, by name."""

import pytest

from compiler.compress import Recipe, RecipeError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "obd"}, "method = 'obd': must be one of magnitude, wanda, sparsegpt"),
        ({"sparsity": "2:4"}, "sparsity = '2:4': must be one of 1:16, 2:16, 4:16, 8:16, 12:16, 16:16"),
        ({"sparsity": 0.5}, "sparsity = 0.5: must be one of"),
        ({"sparsity": "8:16", "density": 0.5}, "density = 0.5: sparsity is given as well"),
        ({"density": 0}, "density = 0: must be above 0"),
        ({"density": 1.5}, "density = 1.5: must be a number from 0 to 1"),
        ({"density": True}, "density = True: must be a number"),
        ({"density": float("nan")}, "density = nan: must be a number"),
        ({"bits": 1}, "bits = 1: must be a number from 2 to 8"),
        ({"bits": "4"}, "bits = '4': must be a number"),
        ({"smoothing": 2}, "smoothing = 2: must be a number from 0 to 1"),
        ({"damping": 0}, "damping = 0: must be above 0"),
        ({"group": 48}, r"group = 48: must be one of \(16, 32, 64, 128\)"),
        ({"head": 1}, "head = 1: must be true or false"),
        ({"sequences": 0}, "sequences = 0: must be a positive integer"),
        ({"length": 2.0}, "length = 2.0: must be a positive integer"),
        ({"minimum": True}, "minimum = True: needs bits"),
        ({"minimum": True, "bits": 8}, "minimum = True: needs bits"),
        (
            {"minimum": True, "bits": 4, "method": "sparsegpt"},
            "minimum = True: method sparsegpt",
        ),
        (
            {"minimum": True, "bits": 4, "method": "wanda", "density": 0.5},
            "only dense weights can have one",
        ),
    ],
)
def test_a_bad_recipe_is_refused_with_name_value_and_rule(fields, message):
    with pytest.raises(RecipeError, match=message):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("fields", "prunes", "changes", "mixed", "kept", "calibrates"),
    [
        ({}, False, False, False, 16, False),
        ({"sparsity": "16:16"}, False, False, False, 16, False),
        ({"density": 1}, False, False, False, 16, False),
        ({"sparsity": "8:16"}, True, True, False, 8, True),
        ({"density": 0.75}, True, True, False, None, True),
        ({"bits": 4}, False, True, False, 16, True),
        ({"bits": 4.5}, False, True, True, 16, True),
        ({"bits": 4, "method": "magnitude"}, False, True, False, 16, False),
        ({"smoothing": 0.5, "method": "magnitude"}, False, True, False, 16, True),
    ],
)
def test_what_a_recipe_asks_for(fields, prunes, changes, mixed, kept, calibrates):
    recipe = Recipe(**fields)
    found = (recipe.prunes, recipe.changes, recipe.mixed, recipe.kept, recipe.calibrates)
    assert found == (prunes, changes, mixed, kept, calibrates)
