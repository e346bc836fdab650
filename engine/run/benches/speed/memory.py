"""What a step holds of memory, in a process of its own: bare network, published loop, engine."""

from collections.abc import Callable
from typing import Any

import torch

from engine.run.benches.speed import reconstruction, synthesis
from engine.run.benches.speed.apart import machine, peak_of


def measured(networks: tuple[str, ...], tell: Callable[[str], None]) -> Any:
    """Rows: MB before the first step, and at most."""
    rows: list[dict[str, Any]] = []
    for stage in (synthesis, reconstruction):
        for name in networks or tuple(stage.SIZES):
            images = stage.SIZES.get(name, (16, 3))[0]
            stage_name = stage.__name__.rpartition(".")[2]
            tell(f"memory of {stage_name}, {name}, {images} images")
            for work in stage.works_for(name):
                peak = peak_of(stage.prepared, work, name, images)
                rows.append(
                    {"network": name, "images": images, "work": f"{stage_name}: {work}", **peak}
                )
    return {"machine": machine(torch.get_num_threads()), "rows": rows}
