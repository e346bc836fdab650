"""A PyTorch state_dict of the dequantized network, which loads into the plain float module."""

from pathlib import Path

from engine.export.base import Expected, Finished, Format, FormatCard, Written


class StateDict(Format):
    """The float network's own tensors by its own names, the weights on their grids."""

    card = FormatCard(
        name="state-dict",
        title="PyTorch weights",
        use="Try the quantized weights wherever the float network runs: `load_state_dict`, and nothing else. "
        "Inputs of layers are not rounded there, so its answers lie between float and quantized.",
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        import torch

        network = run.network()
        path = out / f"{run.run}.state-dict.pt"
        tensors = {name: torch.from_numpy(array.copy()) for name, array in network.state.items()}
        torch.save(tensors, path)
        notes = ["Its weights take 32 bits each; the codes are smaller."]
        if network.added:
            notes.append(
                f"{len(network.added)} biases were added by a correction and have no place in the float "
                f"network ({', '.join(network.added[:3])}{', …' if len(network.added) > 3 else ''}): give "
                "those layers a bias before loading."
            )
        return [Written(kind="state-dict", path=path, notes=tuple(notes))]

    def expected(self, run: Finished) -> Expected:
        floats = run.result["size_bytes"]["fp32"]
        return Expected(least=floats, most=floats, besides="names and shapes")
