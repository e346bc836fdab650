"""A healthy run as a record, whose parts a test makes sick."""

from dataclasses import replace

import numpy as np

from engine.analysis.doctor.record import Images, Input, Layer, Loss, Norm, RunRecord

SETTINGS = {"equalise": False, "activation_range": "mse", "weight_range": "mse"}


def healthy(bits=8, db=40.0):
    """Six layers of 8 channels, all of one range; between b and c ranges could be moved."""
    names = ("a", "b", "c", "d", "e", "f")
    layers = [layer(name, bits, db) for name in names]
    layers[0] = replace(layers[0], edge="first", activation_bits=None, input=None, weight_bits=8)
    layers[-1] = replace(layers[-1], edge="last", weight_bits=8, activation_bits=8)
    layers[2] = replace(layers[2], writer="b", ratio=3.0)
    return RunRecord(
        run="r", quantization="nearest", learns=False, settings=SETTINGS, layers=tuple(layers),
        images=Images(count=64, synthesis="genie", made=True, optimised=True, steps=100,
                      sizes=np.ones(64), alike=0.4, distance=0.1, classes_seen=9.0, classes=10),
        loss=Loss(value=1e-4, unit="KL", images=64),
    )  # fmt: skip


def layer(path, bits=8, db=40.0):
    """Its weights and its input err alike, 3 dB less than both together."""
    return Layer(
        path=path, kind="conv", weight_bits=bits, activation_bits=bits, columns=np.ones(8), rows=np.ones(8),
        sqnr_db=db, weights_db=db + 3.01, inputs_db=db + 3.01, input=read(path, bits, db),
        norm=Norm(path=f"{path}.bn", variance=np.ones(8), gamma=np.ones(8), seen=np.ones(8), eps=1e-5),
    )  # fmt: skip


def read(path, bits, db):
    return Input(
        owner=path, bits=bits, low=0.0, high=3.5, least=0.0, largest=4.0, clipped=0.001, sqnr_db=db,
        by_rule={"mse": db, "min-max": db - 1}, channels=np.full(8, 4.0), images=np.full(32, 4.0),
    )  # fmt: skip


def with_layer(record, path, **changes):
    """The record with this layer otherwise."""
    layers = tuple(replace(one, **changes) if one.path == path else one for one in record.layers)
    return replace(record, layers=layers)


def with_input(record, path, **changes):
    """The record with what this layer reads otherwise."""
    (there,) = [one for one in record.layers if one.path == path]
    return with_layer(record, path, input=replace(there.input, **changes))
