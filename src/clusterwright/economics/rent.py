"""Build or rent: the same accelerator-hours from a cloud, and where the two break even."""

from collections.abc import Iterable

from clusterwright.model.economics import Rent
from clusterwright.model.market import CloudOffer
from clusterwright.units import HOURS_PER_YEAR, SECONDS_PER_YEAR


def typical_offer(accelerator: str, offers: Iterable[CloudOffer]) -> CloudOffer | None:
    """Return the offer to compare with: the median price of the latest year known, if any is.

    The cheapest offer is rarely to be had for a whole cluster, and list prices of the large clouds
    are rarely paid; of an even number the lower middle is taken.
    """
    known = [offer for offer in offers if offer.accelerator == accelerator]
    if not known:
        return None
    latest = max(offer.year for offer in known)
    recent = sorted(
        (offer for offer in known if offer.year == latest),
        key=lambda offer: (offer.usd_per_accelerator_hour, offer.name),
    )
    return recent[(len(recent) - 1) // 2]


def compare_with_rent(
    offer: CloudOffer,
    *,
    num_accelerators: int,
    tco_usd: float,
    depreciation_s: float,
    utilization: float,
) -> Rent:
    """Return what renting the used accelerator-hours would cost over the life of the equipment.

    Rent is paid for used hours only; the built centre costs the same whether it is used or not. At
    the break-even utilisation both cost the same.

    Parameters
    ----------
    offer
        What an accelerator-hour costs.
    num_accelerators
        Accelerators that are built.
    tco_usd
        Building them and running them for their life.
    depreciation_s
        That life.
    utilization
        Share of the accelerator-hours that is used, 0 to 1.
    """
    hours = num_accelerators * HOURS_PER_YEAR * depreciation_s / SECONDS_PER_YEAR
    price = offer.usd_per_accelerator_hour
    rent = price * hours * utilization
    return Rent(
        offer=offer.name,
        offer_usd_per_accelerator_hour=price,
        rent_usd=rent,
        build_usd=tco_usd,
        break_even_ratio=tco_usd / (price * hours) if price * hours else 0.0,
        cheaper="build" if tco_usd <= rent else "rent",
    )
