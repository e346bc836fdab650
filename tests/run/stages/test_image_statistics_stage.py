"""The statistics of a run's images, against a naive look at one image after the other."""

import io

import numpy as np
import torch

from engine.core.trace import watch_inputs
from engine.run.context import make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.stages.synthesis.image_statistics import CHUNK, statistics_file

IMAGES = CHUNK + 3  # more than pass through the teacher together


def test_every_layers_spread_is_that_of_images_looked_at_one_by_one(tmp_path):
    recipe = Recipe(model="resnet20-fashion", synthesis="noise", quantization="nearest")
    folder = RunFolder.create(tmp_path, recipe)
    context = make_context(
        recipe, folder, Control(folder.path, lambda state: None), torch.device("cpu")
    )
    images = torch.randn(IMAGES, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with np.load(io.BytesIO(statistics_file(context, images))) as arrays:
        told = dict(arrays)

    path, stored = context.stored.paths[4], context.stored.moments[4]
    means, deviations, classes = [], [], []
    with torch.no_grad(), watch_inputs(context.teacher, [path], lambda _, x: seen.append(x)):
        for image in images:
            seen: list[torch.Tensor] = []
            classes.append(int(context.teacher(image[None]).argmax()))
            pixels = seen[0][0].flatten(1).numpy()  # [channels, pixels]
            means.append([row.mean() for row in pixels])
            deviations.append([row.std() for row in pixels])
    unit = stored.std.numpy()
    for name, rows in (("spread", means), ("deviation_spread", deviations)):
        naive = (np.array(rows).std(axis=0) / unit).mean()
        np.testing.assert_allclose(told[name][4], naive, rtol=1e-4)
    named = dict(zip(sorted(set(classes)), told["class_names"].tolist(), strict=True))
    assert named == {c: context.card.classes[c] for c in set(classes)}
