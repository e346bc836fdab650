"""What each quantizer shows of itself while it works: one file, one form of a `viewed` event."""

from collections.abc import Callable

from app.charts.style import LiveFigure
from app.charts.views.borders import borders
from app.charts.views.confidence import confidence
from app.charts.views.deviations import deviations
from app.charts.views.factors import factors
from app.charts.views.fixing import fixing
from app.charts.views.levels import levels
from app.charts.views.orders import orders
from app.charts.views.path import path
from app.charts.views.signs import signs
from app.charts.views.slopes import slopes
from app.charts.views.soft_rounding import soft_rounding
from app.charts.views.taps import taps
from app.charts.views.widths import widths

CHARTS: dict[str, Callable[[], LiveFigure]] = {
    "soft-rounding": soft_rounding,
    "path": path,
    "levels": levels,
    "borders": borders,
    "confidence": confidence,
    "slopes": slopes,
    "widths": widths,
    "signs": signs,
    "deviations": deviations,
    "taps": taps,
    "factors": factors,
    "fixing": fixing,
    "orders": orders,
}
