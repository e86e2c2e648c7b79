"""What a centre that waits for better hours goes by: price, carbon, or both at a carbon price."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.errors import UsageError
from clusterwright.sched.outlook import Forecast, Hours, Outlook, num_known, outlook
from clusterwright.units import GRAMS_PER_TONNE

Signal = Literal["price", "carbon", "both"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prospect:
    """Hourly series, and what of them is known when."""

    signal: Signal
    """What is waited for: cheap hours, clean hours, or both at a carbon price."""
    price_usd_per_j: Hours
    """Price by hour, shape (num_hours,), from a midnight on."""
    carbon_g_per_j: Hours
    """Carbon intensity by hour, likewise."""
    published_hour: int | None
    """Hour of the day in which the next day's prices are published; absent, they never are.
    Carbon never is."""
    usd_per_tonne: float = 0.0
    """Price of a tonne of CO2e, for `both`."""

    def __post_init__(self) -> None:
        """Refuse a mix without its price."""
        if self.signal == "both" and not self.usd_per_tonne > 0:
            msg = "the signal `both` weighs carbon by its price: give one above zero in USD/t"
            raise UsageError(msg)

    def seen(self, now: int, num_hours: int) -> Outlook:
        """Return what is expected in hour `now` of so many hours, that one included."""
        forecast = Forecast()
        prices = self.price_usd_per_j[: num_known(now, published_hour=self.published_hour)]
        carbons = self.carbon_g_per_j[: num_known(now, published_hour=None)]
        match self.signal:
            case "price":
                return outlook(prices, now, num_hours, forecast)
            case "carbon":
                return outlook(carbons, now, num_hours, forecast)
            case "both":
                return outlook(prices, now, num_hours, forecast).plus(
                    outlook(carbons, now, num_hours, forecast),
                    self.usd_per_tonne / GRAMS_PER_TONNE,
                )
